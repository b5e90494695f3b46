"""Training and scoring on one core and on all, alone and beside busy processes.

Our trainer with our loader, and our scoring on batches of the same size: as they are, with one
thread, and with threads that spin while they wait, as libgomp has it by default. Each side is a
process of its own (`benchmarks/threads_side.py`); the others sleep while one measures.

Beside P busy processes on C cores, C threads deserve C / (C + P) of the speed that they have alone.
The time alone over that share is the fair time, and the fair time over the measured time is the
part of the fair share that is kept.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, cast

from benchmarks.harness import OURS, Benchmark, parser
from benchmarks.train_work import CARDINALITIES, Work, article, kaggle, write_rows
from plumbline.base.threads import SPIN_COUNT

ROOT = Path(__file__).parent.parent
LARGEST_TABLE = 10_000
BUSY_PER_CORE = 2
FAIR_SHARE = 0.5
COST_ALONE = 1.03
"""At most, a step alone may take so many times that of threads that spin."""

WORKS = {
    "kaggle, 256 rows": (kaggle, 256, 200),
    "kaggle, 8,192 rows": (kaggle, 8192, 8),
    "article, 8,192 rows": (article, 8192, 2),
}
"""Architecture, rows of a batch, and steps of a measurement."""

ONE_THREAD, SPINNING = "ours, one thread", "ours, threads that spin"
FAIR = "fair time"
ENVIRONMENTS: dict[str, Mapping[str, str]] = {
    OURS: {"GOMP_SPINCOUNT": str(SPIN_COUNT)},
    ONE_THREAD: {"OMP_NUM_THREADS": "1"},
    SPINNING: {},
}


class Side:
    """A process of `benchmarks/threads_side.py`."""

    def __init__(self, environment: Mapping[str, str], work: Path, rows: Path) -> None:
        own = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS"}
        kept = {name: value for name, value in os.environ.items() if name not in own}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.threads_side", work, rows],
            cwd=ROOT,
            env={**kept, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        cast("IO[str]", self._process.stdin).close()
        self._process.wait()

    def ms(self, what: str) -> float:
        stdin, stdout = cast("IO[str]", self._process.stdin), cast("IO[str]", self._process.stdout)
        stdin.write(what + "\n")
        stdin.flush()
        return float(json.loads(stdout.readline()))


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Inside, so many processes compute without a pause."""
    started = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)
    ]
    try:
        time.sleep(0.5)
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def measure(benchmark: Benchmark, name: str, work: Work, processes: int, repeats: int) -> None:
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        work_file, rows_file = Path(folder) / "work.json", Path(folder) / "rows.parquet"
        work.write(work_file)
        write_rows(rows_file, work.architecture, work.rows)
        sides = {
            side: stack.enter_context(Side(environment, work_file, rows_file))
            for side, environment in ENVIRONMENTS.items()
        }

        def turns(what: str) -> dict[str, Callable[[], float]]:
            return {side: partial(process.ms, what) for side, process in sides.items()}

        for process in sides.values():
            process.ms("train")
        alone = benchmark.run(f"train {name}, alone", "ms a step", turns("train"), repeats)
        benchmark.run(f"score {name}, alone", "ms", turns("score"), repeats)
        with busy(processes):
            figures = {
                side: [turn() for _ in range(repeats)] for side, turn in turns("train").items()
            }
    figures[FAIR] = [ms * (cores + processes) / cores for ms in alone.figures[OURS]]
    case = benchmark.add(f"train {name}, beside {processes} busy processes", "ms a step", figures)
    benchmark.at_least(f"{name}: part of the fair share", case.ratios[FAIR], FAIR_SHARE)
    benchmark.at_most(
        f"{name}: time alone over that of threads that spin", 1 / alone.ratios[SPINNING], COST_ALONE
    )


def main() -> None:
    options = parser(__doc__).parse_args()
    benchmark = Benchmark("threads")
    works = dict([*WORKS.items()][:1]) if options.quick else WORKS
    processes = 1 if options.quick else BUSY_PER_CORE * len(os.sched_getaffinity(0))
    for name, (architecture_of, batch_size, steps) in works.items():
        architecture = architecture_of([min(size, LARGEST_TABLE) for size in CARDINALITIES])
        work = Work(architecture, batch_size, warm_up=1, steps=1 if options.quick else steps)
        measure(benchmark, name, work, processes, repeats=1 if options.quick else 5)
    benchmark.report(options.json)


if __name__ == "__main__":
    main()
