"""Malformed lines: counted, the first ones kept as examples, and too many of them stop the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from features.errors import DataError

MAX_EXAMPLES = 5


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """A line that holds no usable row, and why."""

    line: int
    """1-based, the header and blank lines counted; in a Parquet file the row."""
    reason: str


class MalformedLines:
    """Collects the faults of one table's files.

    `limit` is the number of malformed lines that are still put up with. `setting` names what to
    raise in the configuration; None where malformed lines are never put up with.
    """

    def __init__(self, limit: int, setting: str | None) -> None:
        self.count = 0
        self.examples: list[str] = []
        self._limit = limit
        self._setting = setting

    def record(self, file: Path, faults: Sequence[Fault]) -> None:
        """Raises DataError as soon as there are more than the limit."""
        self.count += len(faults)
        room = MAX_EXAMPLES - len(self.examples)
        for fault in sorted(faults)[:room]:
            self.examples.append(f"{file}:{fault.line}: {fault.reason}")
        if self.count <= self._limit:
            return
        if self._setting is None:
            raise DataError(f"{self.examples[0]}. Correct the line, or the table's settings.")
        lines = "line" if self.count == 1 else "lines"
        raise DataError(
            f"{self.count} malformed {lines}, and {self._setting} is {self._limit}. "
            f"The first: {self.examples[0]}. "
            f"Correct the log or its settings, or raise {self._setting}."
        )
