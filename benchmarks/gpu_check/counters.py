"""Counters of the device by ncu: bytes from memory, instructions, conflicts in shared memory."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import SkipTest

from benchmarks.gpu_check import calls
from benchmarks.gpu_check.library_file import find_tool
from benchmarks.gpu_check.place import Place
from benchmarks.gpu_check.report import Report

METRICS = {
    "dram__bytes.sum": "MB from and to memory",
    "smsp__inst_executed.sum": "instructions of warps",
    "l1tex__data_bank_conflicts_pipe_lsu_mem_shared.sum": "conflicts in shared memory",
    "gpu__time_duration.sum": "µs",
}
BYTES, TIME = "dram__bytes.sum", "gpu__time_duration.sum"
EXCESS = 1.05
"""Bytes over those that have to move, at most."""
NOT_PERMITTED = "ERR_NVGPUCTRPERM"


@dataclass(frozen=True)
class Counted:
    """One kernel's counters, all of its launches together."""

    kernel: str
    values: dict[str, float]


def check(place: Place, report: Report) -> None:
    """Count each call of `calls.counted` once; no figure fails."""
    if place.is_emulated:
        calls.check(place, report)
        raise SkipTest("ncu needs a device; the calls that it would count have run")
    ncu = find_tool("ncu")
    if ncu is None:
        raise SkipTest("ncu is not found")
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "calls.json"
        done = subprocess.run(
            [
                *(ncu, "--csv", "--page", "raw", "--print-units", "base"),
                *("--kernel-name", "regex:interaction_|embedding_"),
                *("--metrics", ",".join(METRICS)),
                *(sys.executable, "-m", "benchmarks.gpu_check.part", "calls", str(result)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        said = done.stdout + done.stderr
        if NOT_PERMITTED in said:
            raise SkipTest(f"ncu may not read the counters here ({NOT_PERMITTED})")
        assert done.returncode == 0, f"ncu ended with status {done.returncode}: {said[-2000:]}"
        made = json.loads(result.read_text(encoding="utf-8"))["tables"][0]["rows"]
    rows = []
    for name, size, counted in matched(made, read(done.stdout.splitlines())):
        ratio = counted.values[BYTES] / size
        report.at_most(f"{name}: bytes moved over those that have to", ratio, EXCESS)
        report.checked()
        scales = {BYTES: 1e-6, TIME: 1e-3}
        figures = [f"{counted.values[m] * scales.get(m, 1):,.0f}" for m in METRICS]
        rows.append([name, f"{size / 1e6:,.0f}", *figures])
    columns = ["call", "MB that have to move", *METRICS.values()]
    report.table("Counters; ncu lowers the clock, so its times are no times", columns, rows)


def read(lines: Iterable[str]) -> list[Counted]:
    """Kernels in the order of their first launch, from ncu's CSV of raw values in base units.

    A line of names, one of units, and one for each launch; other output comes before.
    """
    content = [line for line in lines if line.startswith('"')]
    header, _, *launches = csv.reader(content)
    found: dict[str, dict[str, float]] = {}
    for launch in launches:
        fields = dict(zip(header, launch, strict=True))
        sums = found.setdefault(fields["Kernel Name"], dict.fromkeys(METRICS, 0.0))
        for metric in METRICS:
            sums[metric] += float(fields[metric].replace(",", ""))
    return [Counted(kernel, values) for kernel, values in found.items()]


def matched(
    made: Sequence[Sequence[str]], counted: Sequence[Counted]
) -> list[tuple[str, int, Counted]]:
    """Each call's name and bytes with its counters.

    A call has the kernels whose names it begins. Calls that begin the same names have one kernel
    each, in their order.
    """
    found = []
    for kernel in dict.fromkeys(kernel for _, kernel, _ in made):
        of_calls = [(name, int(size)) for name, other, size in made if other == kernel]
        of_kernels = [one for one in counted if kernel in one.kernel]
        if len(of_calls) == 1 and of_kernels:
            sums = {m: sum(one.values[m] for one in of_kernels) for m in METRICS}
            of_kernels = [Counted(kernel, sums)]
        assert len(of_calls) == len(of_kernels), (
            f"wanted {len(of_calls)} kernels {kernel}, ncu counted "
            f"{[one.kernel for one in of_kernels]}"
        )
        found += [(*call, one) for call, one in zip(of_calls, of_kernels, strict=True)]
    return found
