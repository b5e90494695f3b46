"""Malformed lines: they are counted, the first ones are kept, and too many stop the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from plumbline.base.errors import DataError

MAX_EXAMPLES = 5


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """A line without a usable row, and the reason."""

    line: int
    """1-based, with the header and blank lines; in a Parquet file the row."""
    reason: str
    advice: str = field(default="", compare=False)
    """The setting under which it would be read, if any."""

    def further(self, lines: int) -> Fault:
        """The same fault, `lines` lines further down."""
        return replace(self, line=self.line + lines)


class MalformedLines:
    """Collects the faults of one table's files.

    `limit` is the number of malformed lines that are allowed. `setting` is its name in the
    configuration, None if no malformed line is ever allowed. `advice` has the settings under which
    the examples would be read.
    """

    def __init__(self, limit: int, setting: str | None) -> None:
        self.count = 0
        self.examples: list[str] = []
        self.advice: list[str] = []
        self._limit = limit
        self._setting = setting

    def record(self, file: Path, faults: Sequence[Fault]) -> None:
        """Raises DataError above the limit."""
        self.count += len(faults)
        room = MAX_EXAMPLES - len(self.examples)
        for fault in sorted(faults)[:room]:
            self.examples.append(f"{file}:{fault.line}: {fault.reason}")
            if fault.advice and fault.advice not in self.advice:
                self.advice.append(fault.advice)
        if self.count <= self._limit:
            return
        if self._setting is None:
            settings = f"the table's settings{self.advised()}"
            raise DataError(f"{self.examples[0]}. Correct the line, or {settings}.")
        lines = "line" if self.count == 1 else "lines"
        raise DataError(
            f"{self.count} malformed {lines}, and {self._setting} is {self._limit}. "
            f"The first: {self.examples[0]}. "
            f"Correct the log or its settings{self.advised()}, or raise {self._setting}."
        )

    def advised(self) -> str:
        """The advice for the first example, in brackets."""
        return f" ({self.advice[0]})" if self.advice else ""
