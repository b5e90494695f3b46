"""The terminal: one console, progress with rate and time left; or JSON lines for programs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from plumbline.base.json_lines import event, writes_json_lines
from plumbline.base.printable import one_line

console = Console(stderr=True)

EVENT_SECONDS = 2.0
"""Time between two events of progress."""
SHOWN_BYTES = 1 << 30
"""Fewer bytes are hashed in a second or two, without a bar."""


def say(text: str, style: str | None = None, *, label: str = "", label_style: str = "bold") -> None:
    """Print one line of text as it is: no markup, and control characters as escapes.

    `label` is printed before it, in its own style.
    """
    if writes_json_lines():
        event("line", text=one_line(f"{label}{text}").strip())
        return
    line = Text(_indented(label), style=label_style)
    line.append(_indented(text), style=style)
    console.print(line, soft_wrap=True, highlight=False)


def tell(name: str, text: str, /, style: str | None = None, **content: Any) -> None:
    """Print one line of text; a program gets the event `name` with this content instead."""
    if writes_json_lines():
        event(name, **content)
        return
    say(text, style)


def tell_stage(stage: str, state: str, seconds: float | None = None) -> None:
    """Tell that a stage is begun, complete or skipped; a person sees its name."""
    if writes_json_lines():
        event(
            "stage", stage=stage, state=state, **({} if seconds is None else {"seconds": seconds})
        )
    elif state != "complete":
        say(": complete, skipped" if state == "skipped" else "", label=stage)


def _indented(text: str) -> str:
    return text[: len(text) - len(text.lstrip(" "))] + one_line(text)


def warn(text: str) -> None:
    """Print one line about a problem that does not stop the run."""
    if writes_json_lines():
        event("warning", text=one_line(text))
        return
    say(f" {text}", label="  warning:", label_style="yellow")


def alarm(text: str) -> None:
    """Print one line in bold red: the run's result is not good."""
    if writes_json_lines():
        event("alarm", text=one_line(text))
        return
    say(f"  {text}", style="bold red")


def approve(text: str) -> None:
    """Print one line in green: all is well."""
    if writes_json_lines():
        event("good", text=one_line(text))
        return
    say(f"  {text}", style="green")


class RateColumn(ProgressColumn):
    """Units per second since the start."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        if not task.elapsed or not task.completed:
            return Text("")
        return Text(f"{task.completed / task.elapsed:,.0f} {self._unit}/s", style="cyan")


@dataclass(slots=True)
class Told:
    """Progress for a program, or for a log: an event every few seconds and at the end."""

    what: str
    total: int | None
    unit: str
    done: int = 0
    begun: float = field(default_factory=lambda: time.monotonic())
    told: float = field(default_factory=lambda: time.monotonic())

    def advance(self, units: int) -> None:
        self.done += units
        if time.monotonic() - self.told >= EVENT_SECONDS:
            self.tell()

    def tell(self) -> None:
        self.told = time.monotonic()
        if not writes_json_lines():
            return
        seconds = self.told - self.begun
        rate = self.done / seconds if seconds else 0.0
        left = None if self.total is None or not rate else max(self.total - self.done, 0) / rate
        event(
            "progress",
            what=self.what,
            done=self.done,
            total=self.total,
            unit=self.unit,
            seconds=round(seconds, 3),
            rate=round(rate, 3),
            seconds_left=None if left is None else round(left, 3),
        )

    def end(self) -> None:
        self.total = self.done
        self.tell()
        if not writes_json_lines():
            seconds = time.monotonic() - self.begun
            rate = f" ({self.done / seconds:,.0f} {self.unit}/s)" if seconds else ""
            say(f"  {self.what}: {self.done:,} {self.unit} in {seconds:.1f} s{rate}")


@contextmanager
def progress_bar(
    description: str, total: int | None, unit: str = "rows"
) -> Iterator[Callable[[int], None]]:
    """Show progress while the block runs; yields a function that advances it by a number of units.

    A terminal shows a bar with rate and time left. Without one there is a line at the end, and with
    `--json` an event every `EVENT_SECONDS` and at the end.
    """
    if writes_json_lines() or not console.is_terminal:
        told = Told(description, total, unit)
        yield told.advance
        told.end()
        return
    columns = (
        TextColumn("  {task.description:<12}", markup=False),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        RateColumn(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(description, total=total)
        yield lambda done: progress.advance(task, done)
        progress.update(task, total=progress.tasks[0].completed)


@contextmanager
def hashing(total: int) -> Iterator[Callable[[int], None]]:
    """`progress_bar` of so many bytes that are hashed, if that takes seconds."""
    if total < SHOWN_BYTES:
        yield lambda size: None
        return
    with progress_bar("hashing", total >> 20, "MiB") as progress:
        yield lambda size: progress(size >> 20)


@contextmanager
def waiting(description: str) -> Iterator[None]:
    """Show that the block runs, and for how long: for work whose end cannot be foreseen.

    A terminal shows the seconds until it ends. Without one there is nothing, and with `--json` an
    event at the begin and at the end.
    """
    if writes_json_lines():
        told = Told(description, None, "seconds")
        told.tell()
        yield
        told.done = round(time.monotonic() - told.begun)
        told.tell()
        return
    columns = (
        TextColumn("  {task.description:<12}", markup=False),
        SpinnerColumn(),
        TimeElapsedColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        bar.add_task(description, total=None)
        yield
