"""What one part of the check found, written to a file whenever something is added.

    {"part":, "status": "passed" | "failed" | "skipped" | "unfinished", "reason":, "checks":,
     "cases": [], "targets": [], "notes": [], "tables": [{"title":, "columns": [], "rows": [[]]}]}

Cases, targets and notes are those of `benchmarks/harness.py`. A part whose process was ended leaves
"unfinished", with what it had found.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import Benchmark, Case


class Report:
    """Collects what a part finds."""

    def __init__(self, part: str, file: Path) -> None:
        self._part, self._file = part, file
        self._benchmark = Benchmark(part)
        self._tables: list[dict[str, Any]] = []
        self._checks = 0
        self.end("unfinished")

    def checked(self, count: int = 1) -> None:
        """So many more checks were passed."""
        self._checks += count

    def note(self, text: str) -> None:
        self._benchmark.notes.append(text)
        self.end("unfinished")

    def case(self, name: str, unit: str, figures: dict[str, list[float]]) -> Case:
        """A workload's figures by side, as in `Benchmark.add`."""
        case = self._benchmark.add(name, unit, figures)
        self.end("unfinished")
        return case

    def at_least(self, name: str, value: float, target: float) -> None:
        self._benchmark.at_least(name, value, target)

    def at_most(self, name: str, value: float, target: float) -> None:
        self._benchmark.at_most(name, value, target)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        found = {"title": title, "columns": list(columns), "rows": [list(row) for row in rows]}
        self._tables.append(found)
        self.end("unfinished")

    def end(self, status: str, reason: str = "") -> None:
        """Write the file."""
        content = {
            "part": self._part,
            "status": status,
            "reason": reason,
            "checks": self._checks,
            "cases": [case.to_json() for case in self._benchmark.cases],
            "targets": self._benchmark.targets,
            "notes": self._benchmark.notes,
            "tables": self._tables,
        }
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps(content), encoding="utf-8")
        partial.replace(self._file)
