"""How far one machine goes, and what the ways past it cost.

Four parts; without names all of them run, in this order:

- `rows`: ETL of a raw text log, at 1 M, 10 M and 50 M rows of Criteo's shape, whose largest
  vocabularies grow with it: time a row, and peak memory.
- `engines`: stage etl as a command on our engine, Spark and Dask, with one and two cores.
- `processes`: a training step of our kernels beside TorchRec on one and two processes.
- `days`: an appended day beside that day alone.

    python -m benchmarks.scale [--quick] [--json FILE] [PART …]
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import append, processes
from benchmarks.etl import Input, Runs
from benchmarks.harness import OURS, Benchmark, parser
from benchmarks.scale_engines import ENGINES, EtlCommands

ROWS, QUICK_ROWS = (1_000_000, 10_000_000, 50_000_000), (5_000, 10_000)
REPEATS_AT = (3, 1, 1)
"""Repeats at each number of rows: a long run sways less than a short one."""
ENGINE_ROWS, QUICK_ENGINE_ROWS = 1_000_000, 5_000
CORES = (1, 2)
MOST_GROWTH, MOST_GB = 1.15, 3.0


def rows(benchmark: Benchmark, quick: bool) -> None:
    sizes = QUICK_ROWS if quick else ROWS
    a_row: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(Path(folder), {})
        for size, repeats in zip(sizes, REPEATS_AT, strict=False):
            given = Input.write("text", runs.scratch, size)
            figures = [runs.seconds(OURS, given) / size * 1e6 for _ in range(repeats)]
            a_row[size] = benchmark.add(given.name, "µs a row", {OURS: figures}).median(OURS)
            given.path.unlink()
    small, large = sizes[0], sizes[-1]
    growth = a_row[large] / a_row[small]
    benchmark.at_most(f"time a row, {large:,} over {small:,} rows", growth, MOST_GROWTH)
    peak = runs.peak_mb[OURS, "text", large] / 1024
    benchmark.at_most(f"GB of peak memory, {large:,} rows", peak, MOST_GB)


def engines(benchmark: Benchmark, quick: bool) -> None:
    size = QUICK_ENGINE_ROWS if quick else ENGINE_ROWS
    for engine in ENGINES:
        if not engine.is_installed:
            benchmark.notes.append(f"{engine.name}: left out, {engine.package} is not installed.")
    with tempfile.TemporaryDirectory() as folder:
        commands = EtlCommands(Path(folder))
        commands.write_log(size)
        for cores in CORES:
            sides = {
                engine.name: lambda engine=engine: commands.seconds(engine, cores)  # noqa: B023
                for engine in ENGINES
                if engine.is_installed
            }
            case = f"stage etl as a command, {size:,} rows, {cores} of the cores"
            benchmark.run(case, "s", sides, repeats=1)
        commands.check_equal()


def training(benchmark: Benchmark, quick: bool) -> None:
    processes.compare(benchmark, (1, 2), quick)


def days(benchmark: Benchmark, quick: bool) -> None:
    append.compare(benchmark, quick)


PARTS: dict[str, Callable[[Benchmark, bool], None]] = {
    "rows": rows,
    "engines": engines,
    "processes": training,
    "days": days,
}


def main() -> None:
    wanted = parser(__doc__)
    wanted.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    options = wanted.parse_args()
    unknown = [name for name in options.parts if name not in PARTS]
    if unknown:
        wanted.error(f"wanted parts of {', '.join(PARTS)}, got {', '.join(unknown)}")
    benchmark = Benchmark("scale")
    for name in options.parts or PARTS:
        PARTS[name](benchmark, options.quick)
    benchmark.report(options.json)


if __name__ == "__main__":
    main()
