"""What every benchmark shares: repeats in turn, a table, and the JSON form.

    {"benchmark":, "commit":, "cpu":, "threads":, "versions": {},
     "cases": [{"case":, "unit":, "ratios": {"<peer>":},
                "sides": {"ours": {"median":, "min":, "max":}, "<peer>": {…}}}],
     "targets": [{"name":, "value":, "target":, "met":}]}

A side's figure is in seconds, smaller is better; a ratio is the peer's median over ours, so above 1
we are faster. Sides run in turn, A B A B …, so that drift of the machine meets them alike.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from features.files import write_json
from features.manifest import package_versions

OURS = "ours"
PACKAGES = ("plumbline", "nvtabular", "pandas", "numpy", "pyarrow", "polars", "torch")


@dataclass(frozen=True, slots=True)
class Case:
    """One workload, and each side's seconds, run by run."""

    name: str
    seconds: dict[str, list[float]]

    @property
    def ratios(self) -> dict[str, float]:
        ours = statistics.median(self.seconds[OURS])
        return {
            side: round(statistics.median(seconds) / ours, 3)
            for side, seconds in self.seconds.items()
            if side != OURS
        }

    def to_json(self) -> dict[str, Any]:
        sides = {
            side: {
                "median": round(statistics.median(seconds), 4),
                "min": round(min(seconds), 4),
                "max": round(max(seconds), 4),
            }
            for side, seconds in self.seconds.items()
        }
        return {"case": self.name, "unit": "s", "sides": sides, "ratios": self.ratios}


@dataclass(slots=True)
class Benchmark:
    """Collects cases and targets, prints them, writes them."""

    name: str
    cases: list[Case] = field(default_factory=list)
    targets: list[dict[str, Any]] = field(default_factory=list)

    def run(self, case: str, sides: Mapping[str, Callable[[], None]], repeats: int) -> Case:
        """Time every side `repeats` times, in turn, after one run of each that is not counted."""
        seconds: dict[str, list[float]] = {side: [] for side in sides}
        for repeat in range(repeats + 1):
            for side, work in sides.items():
                start = time.perf_counter()
                work()
                if repeat:
                    seconds[side].append(time.perf_counter() - start)
        made = Case(case, seconds)
        self.cases.append(made)
        return made

    def target(self, name: str, value: float, target: float) -> None:
        """A figure that has to reach `target` from below."""
        self.targets.append(
            {"name": name, "value": value, "target": target, "met": value >= target}
        )

    def report(self, file: Path | None) -> None:
        console = Console()
        table = Table("case", "side", "median s", "min", "max", "peer / ours", title=self.name)
        for case in self.cases:
            form = case.to_json()
            for side, figures in form["sides"].items():
                ratio = f"{form['ratios'][side]:.2f}" if side != OURS else ""
                numbers = [f"{figures[key]:.3f}" for key in ("median", "min", "max")]
                table.add_row(case.name, side, *numbers, ratio)
        console.print(table)
        for target in self.targets:
            met = "met" if target["met"] else "missed"
            console.print(f"{target['name']}: {target['value']} (target {target['target']}): {met}")
        if file is not None:
            write_json(file, self._to_json())

    def _to_json(self) -> dict[str, Any]:
        return {
            "benchmark": self.name,
            "commit": _commit(),
            "cpu": _cpu(),
            "threads": len(os.sched_getaffinity(0)),
            "versions": package_versions(PACKAGES),
            "cases": [case.to_json() for case in self.cases],
            "targets": self.targets,
        }


def parser(description: str | None) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--quick", action="store_true", help="small sizes: does it run at all?")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return made


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
