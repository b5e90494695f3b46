"""The terminal: one console, and progress bars with rate and time left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from plumbline.base.printable import one_line

console = Console(stderr=True)


def say(text: str, style: str | None = None, *, label: str = "", label_style: str = "bold") -> None:
    """Print one line of text as it is: no markup, and control characters as escapes.

    `label` is printed before it, in its own style.
    """
    line = Text(_indented(label), style=label_style)
    line.append(_indented(text), style=style)
    console.print(line, soft_wrap=True, highlight=False)


def _indented(text: str) -> str:
    return text[: len(text) - len(text.lstrip(" "))] + one_line(text)


def warn(text: str) -> None:
    """Print one line about a problem that does not stop the run."""
    say(f" {text}", label="  warning:", label_style="yellow")


def alarm(text: str) -> None:
    """Print one line in bold red: the run's result is not good."""
    say(f"  {text}", style="bold red")


def approve(text: str) -> None:
    """Print one line in green: all is well."""
    say(f"  {text}", style="green")


class _RateColumn(ProgressColumn):
    """Units per second since the start."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} {self._unit}/s", style="cyan")


@contextmanager
def progress_bar(
    description: str, total: int | None, unit: str = "rows"
) -> Iterator[Callable[[int], None]]:
    """Show a bar while the block runs; yields a function that advances it by a number of units."""
    columns = (
        TextColumn("  {task.description:<12}", markup=False),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        _RateColumn(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(description, total=total)
        yield lambda done: progress.advance(task, done)
        progress.update(task, total=progress.tasks[0].completed)
