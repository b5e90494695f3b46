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

console = Console(stderr=True)


def warn(text: str) -> None:
    """One line about something odd that does not stop the run."""
    _one_line(("warning: ", "yellow"), text)


def alarm(text: str) -> None:
    """One line that is not to be missed: the run's result is not good."""
    _one_line((text, "bold red"))


def approve(text: str) -> None:
    """One quiet line: all is well."""
    _one_line((text, "green"))


def _one_line(*parts: str | tuple[str, str]) -> None:
    """As `Text`, so that brackets in names and values are not taken for markup."""
    console.print(Text.assemble("  ", *parts), soft_wrap=True, highlight=False)


class _RateColumn(ProgressColumn):
    """Units a second since the start."""

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
    """Show a bar while the block runs; the function given advances it by a number of units."""
    columns = (
        TextColumn("  {task.description:<12}"),
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
