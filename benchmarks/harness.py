"""Shared by all benchmarks: interleaved repeats, a table, and a JSON file.

    {"benchmark":, "date":, "commit":, "cpu":, "flags": [], "threads":, "versions": {}, "notes": [],
     "cases": [{"case":, "unit":, "ratios": {"<peer>":},
                "sides": {"ours": {"median":, "min":, "max":}, "<peer>": {…}}}],
     "targets": [{"name":, "value": or null, "target":, "met":}],
     "loads": [{"name":, "rows_a_second":, …}]}

Smaller figures are better. A ratio is the peer's median over ours, so above 1 we are faster. Sides
run alternately, A B A B …, so drift of the machine affects all alike. `loads` is present if a
benchmark puts load on a server (`benchmarks/serve_load.py`).

`--json FILE` writes the figures to a file. The figures in the docs are in `benchmarks/results/`,
one file per benchmark, day and processor; `python -m benchmarks.page` generates
`docs/benchmarks.md` from them.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plumbline.base.errors import DataError
from plumbline.base.files import write_json
from plumbline.base.manifest import package_versions
from plumbline.dlrm.ops.library import cpu_module

OURS = "ours"
PACKAGES = ("plumbline", "nvtabular", "pandas", "numpy", "pyarrow", "polars", "torch")

FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16")
"""Processor flags that determine which kernels run."""

LOAD_COLUMNS = {
    "name": "load",
    "rows_a_second": "rows/s",
    "p50": "p50 ms",
    "p99": "p99 ms",
    "errors": "errors",
    "error_p99": "p99 ms until an error",
}
"""Printed keys of a load, and their headings."""


@dataclass(frozen=True, slots=True)
class Case:
    """One workload, and each side's figures, one per run."""

    name: str
    unit: str
    figures: dict[str, list[float]]

    def median(self, side: str) -> float:
        return statistics.median(self.figures[side])

    @property
    def ratios(self) -> dict[str, float]:
        ours = self.median(OURS)
        return {side: _rounded(self.median(side) / ours) for side in self.figures if side != OURS}

    def to_json(self) -> dict[str, Any]:
        sides = {
            side: {
                "median": _rounded(self.median(side)),
                "min": _rounded(min(figures)),
                "max": _rounded(max(figures)),
            }
            for side, figures in self.figures.items()
        }
        return {"case": self.name, "unit": self.unit, "sides": sides, "ratios": self.ratios}


@dataclass(slots=True)
class Benchmark:
    """Collects, prints and writes cases and targets."""

    name: str
    cases: list[Case] = field(default_factory=list)
    targets: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Remarks for the reader, such as a side that was left out and why."""
    versions: dict[str, str] = field(default_factory=dict)
    """Versions of packages outside this process' environment."""
    loads: list[dict[str, Any]] = field(default_factory=list)
    """`Load.to_json()` of `benchmarks/serve_load.py`."""

    def run(
        self, case: str, unit: str, sides: Mapping[str, Callable[[], float]], repeats: int
    ) -> Case:
        """Measure every side `repeats` times, alternately; a side returns its figure."""
        figures: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(repeats):
            for side, work in sides.items():
                figures[side].append(work())
        return self.add(case, unit, figures)

    def add(self, case: str, unit: str, figures: dict[str, list[float]]) -> Case:
        added = Case(case, unit, figures)
        self.cases.append(added)
        return added

    def at_least(self, name: str, value: float, target: float) -> None:
        self._target(name, value, target, value >= target)

    def at_most(self, name: str, value: float, target: float) -> None:
        self._target(name, value, target, value <= target)

    def not_measured(self, name: str, target: float) -> None:
        """Record a target whose side was left out as not met."""
        self.targets.append({"name": name, "value": None, "target": target, "met": False})

    def _target(self, name: str, value: float, target: float, met: bool) -> None:
        self.targets.append(
            {"name": name, "value": _rounded(value), "target": target, "met": bool(met)}
        )

    def report(self, file: Path | None) -> None:
        from rich.console import Console  # not needed to collect figures
        from rich.table import Table

        console = Console()
        table = Table("case", "side", "unit", "median", "min", "max", "peer / ours")
        for case in self.cases:
            content = case.to_json()
            for side, figures in content["sides"].items():
                ratio = f"{content['ratios'][side]:.2f}" if side != OURS else ""
                numbers = [f"{figures[key]:g}" for key in ("median", "min", "max")]
                table.add_row(case.name, side, case.unit, *numbers, ratio)
        if self.cases:
            console.print(table)
        if self.loads:
            loads = Table(*LOAD_COLUMNS.values())
            for load in self.loads:
                loads.add_row(*(_cell(load[key]) for key in LOAD_COLUMNS))
            console.print(loads)
        for target in self.targets:
            wanted = f"(target {target['target']})"
            if target["value"] is None:
                console.print(f"{target['name']}: not measured {wanted}")
                continue
            met = "met" if target["met"] else "missed"
            console.print(f"{target['name']}: {target['value']} {wanted}: {met}")
        for note in self.notes:
            console.print(note)
        if file is not None:
            write_json(file, self.to_json())

    def to_json(self) -> dict[str, Any]:
        """The content of the result file."""
        content = {
            "benchmark": self.name,
            "date": time.strftime("%Y-%m-%d"),
            "commit": _commit(),
            "cpu": _cpuinfo("model name") or platform.machine(),
            "flags": [flag for flag in FLAGS if flag in _cpuinfo("flags").split()],
            "threads": len(os.sched_getaffinity(0)),
            "versions": package_versions(PACKAGES) | self.versions,
            "notes": self.notes,
            "cases": [case.to_json() for case in self.cases],
            "targets": self.targets,
        }
        return content | ({"loads": self.loads} if self.loads else {})


def parser(description: str | None) -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument(
        "--quick", action="store_true", help="small sizes, to check that it runs"
    )
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return arguments


def python_output(what: str, words: Sequence[str], within: Sequence[str] = ()) -> str:
    """What Python prints on these words, in the folder of the repository.

    `within` are the words of a program that starts it. Raises DataError if it fails.
    """
    done = subprocess.run(
        [*within, sys.executable, *words],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DataError(f"{what} failed: {done.stderr[-2000:]}")
    return done.stdout


def has_amx() -> bool:
    """Whether our kernels use matrix tiles: the processor has them and the system permits it."""
    module = cpu_module()
    return module is not None and "amx" in module.instruction_sets()


def _rounded(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}")


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count} {kind}" for kind, count in value.items())
    return f"{value:,g}" if isinstance(value, float) else str("" if value is None else value)


def _commit() -> str:
    if shutil.which("git") is None:
        return ""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def _cpuinfo(key: str) -> str:
    """The first value of this key in /proc/cpuinfo; empty if absent."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")
