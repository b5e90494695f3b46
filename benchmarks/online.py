"""One request at a time: the online executor on vocabularies of Criteo's size, and NVTabular.

26 columns of ids over 33.7 million values, 13 of numbers. Rows differ between requests, so look-ups
are not served from caches. Then a workflow fitted on fewer rows transforms one row in NVTabular and
in its compiled plan; their ids are compared first. Everything runs on one core.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.criteo_plan import criteo_plan, requests_of
from benchmarks.criteo_rows import CATEGORICAL
from benchmarks.criteo_workflow import fit_criteo
from benchmarks.harness import OURS, Benchmark, parser
from plumbline.base.errors import DataError
from plumbline.columns.wire import Tensors, to_tensors
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.nvtabular.library import Dataset, Serial
from plumbline.nvtabular.quiet import quiet

FITTED_ROWS = 200_000
REQUESTS = 2000


def microseconds(work: Callable[[Tensors], object], requests: Sequence[Tensors]) -> list[float]:
    """Each request's time, without the first tenth of them."""
    times = []
    for request in requests:
        start = time.perf_counter_ns()
        work(request)
        times.append((time.perf_counter_ns() - start) / 1000)
    return times[len(times) // 10 :]


def measure_load(folder: Path) -> dict[str, float]:
    """Load the plan in a separate process; returns seconds, and MB of the process' own memory."""
    done = subprocess.run(
        [sys.executable, "-c", _LOAD, str(folder)],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


_LOAD = """
import json, re, sys, time
from pathlib import Path
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.plan.plan import read_plan

def own():
    text = Path("/proc/self/smaps_rollup").read_text()
    return int(re.search(r"Anonymous: *([0-9]+) kB", text).group(1)) / 1024

before, start = own(), time.perf_counter()
executor = OnlineExecutor(read_plan(Path(sys.argv[1])))
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "own_mb": own() - before}))
"""


def against_nvtabular(benchmark: Benchmark, scratch: Path, rows: int, repeats: int) -> None:
    """Unpatched NVTabular, and the plan compiled from the same fitted workflow, row by row."""
    fitted = fit_criteo(scratch, rows)
    executor = OnlineExecutor(fitted.plan)
    chosen = [fitted.whole_rows.slice(row, 1) for row in range(repeats)]
    tensors = [to_tensors(row, executor.columns) for row in chosen]
    theirs = []
    with quiet(), Serial():
        for row, request in zip(chosen, tensors, strict=True):
            frame = fitted.reader.frame(row)
            start = time.perf_counter_ns()
            got = fitted.workflow.transform(Dataset(frame, cpu=True)).to_ddf().compute()
            theirs.append((time.perf_counter_ns() - start) / 1000)
            ids_BF = executor.transform(request).ids_BF
            if got[CATEGORICAL].to_numpy().tolist() != ids_BF.tolist():
                raise DataError("NVTabular gives other ids than ours: not equal work.")
        ours = microseconds(executor.transform, tensors * 20)
    figures = {OURS: ours, "nvtabular": theirs[repeats // 10 :]}
    case = benchmark.add(f"1 row, fitted on {rows:,}", "µs", figures)
    benchmark.at_least("times NVTabular's own one-row transform", case.ratios["nvtabular"], 1000.0)


def main() -> None:
    options = parser(__doc__).parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    share, count, rows, repeats = (
        (1e-3, 20, 2000, 10) if options.quick else (1.0, REQUESTS, FITTED_ROWS, 30)
    )
    benchmark = Benchmark("online")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        plan = criteo_plan(scratch / "plan", share)
        values = sum(plan.cardinalities)
        load = measure_load(plan.folder)
        size = sum(f.stat().st_size for f in (scratch / "plan/vocabulary").glob("*.index")) / 2**20
        print(  # noqa: T201
            f"{values:,} values: {size:.0f} MB of index files, checked and loaded in "
            f"{load['seconds']:.2f} s, {load['own_mb']:.0f} MB of the process's own memory"
        )
        executor = OnlineExecutor(plan)
        one = benchmark.add(
            f"1 row, {values:,} values", "µs",
            {OURS: microseconds(executor.transform, requests_of(1, count))},
        )  # fmt: skip
        many = benchmark.add(
            f"1,024 rows, {values:,} values", "µs",
            {OURS: microseconds(executor.transform, requests_of(1024, max(count // 10, 10)))},
        )  # fmt: skip
        benchmark.at_most("µs for 1 row", one.median(OURS), 60.0)
        benchmark.at_most("µs for 1,024 rows", many.median(OURS), 1500.0)
        against_nvtabular(benchmark, scratch / "nvtabular", rows, repeats)
    benchmark.report(options.json)


if __name__ == "__main__":
    main()
