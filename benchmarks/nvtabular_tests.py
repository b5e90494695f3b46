"""Every workflow that NVTabular's own unit tests fit, through the compiler and all executors.

    python -m benchmarks.nvtabular_tests --tests NVTABULAR/tests/unit

NVTABULAR is a checkout of NVTabular 23.8 (tag v23.08.00). Its tests run with a plugin of pytest
(`benchmarks/nvtabular_tests_plugin.py`). Each workflow that a test fits is compiled from unfitted
and from fitted, fitted and run by the native engine and by the NVTabular engine, and run online.
The kinds of its columns are guessed from their types. The results are compared with each other and
with what NVTabular's operators give, as docs/operators.md says. A case is a call of `Workflow.fit`;
whether the test itself passes makes no difference.

Exits with status 1 if a case has a raw exception, or a difference that docs/operators.md does not
have.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.harness import Benchmark
from benchmarks.nvtabular_tests_case import DOCUMENTED, OUTCOMES, RAW, REFUSED, UNDOCUMENTED
from plumbline.base.console import say

ROOT = Path(__file__).parent.parent
BUGS = (RAW, UNDOCUMENTED)

Case = dict[str, str]
"""`test`, `outcome` and `detail`."""


def run(tests: Sequence[Path], processes: int) -> list[Case]:
    """Run the tests of these files and folders with the plugin; with 0 in no further processes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cases.jsonl"
        command = [sys.executable, "-m", "pytest", "-p", "benchmarks.nvtabular_tests_plugin"]
        options = ["--cases", str(file), "-p", "no:cacheprovider", "-q", "--tb=no", "-W", "ignore"]
        options += ["--timeout", "600", "--continue-on-collection-errors"]
        options += ["-n", str(processes), "--dist", "loadfile"]
        where = [str(test.resolve()) for test in tests]
        # A checkout has a package `tests` of its own, so it must not find ours.
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run([*command, *options, *where], cwd=folder, env=environment, check=False)
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [json.loads(line) for line in lines]


def refused(message: str) -> str:
    """What a message refuses: an operator, or what a column is without one.

    >>> refused("Column 'x' uses Filter(f=None), which has no compiled form. A plan …")
    'Filter'
    >>> refused("Column 'x' uses text without an operator …, which has no compiled form. …")
    'text'
    >>> refused("There is no feature 'x'; known: y.")
    'another error'
    """
    match = re.search(r"uses (\w+).*?, which has no compiled form", message)
    return match[1] if match else "another error"


def report(cases: Sequence[Case], file: Path | None) -> bool:
    """Print the tables and every bug, and write the JSON; whether there is no bug."""
    benchmark = Benchmark("nvtabular_tests")
    outcomes = Counter(case["outcome"] for case in cases)
    _table(benchmark, "outcome", {outcome: outcomes[outcome] for outcome in OUTCOMES})
    reasons = Counter(case["detail"] for case in cases if case["outcome"] == DOCUMENTED)
    _table(benchmark, DOCUMENTED, reasons)
    refusals = [refused(case["detail"]) for case in cases if case["outcome"] == REFUSED]
    _table(benchmark, REFUSED, Counter(sorted(refusals)))
    for case in cases:
        if case["outcome"] in BUGS:
            say(f" {case['test']}: {case['detail']}", label=case["outcome"])
    for outcome in BUGS:
        benchmark.at_most(f"cases: {outcome}", outcomes[outcome], 0)
    benchmark.report(file)
    return all(target["met"] for target in benchmark.targets)


def _table(benchmark: Benchmark, heading: str, counts: Mapping[str, int]) -> None:
    table = Table(heading, "cases")
    for name, count in counts.items():
        table.add_row(name, str(count))
    Console().print(table)
    text = ", ".join(f"{name} {count}" for name, count in counts.items())
    benchmark.notes.append(f"{heading}: {text or 'none'}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tests", type=Path, nargs="+", required=True, metavar="PATH")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write the counts there")
    options = arguments.parse_args()
    cases = run(options.tests, processes=2)
    if not cases:
        sys.exit(f"{', '.join(map(str, options.tests))}: wanted tests that fit a workflow.")
    sys.exit(not report(cases, options.json))


if __name__ == "__main__":
    main()
