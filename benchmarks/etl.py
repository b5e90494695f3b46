"""ETL side by side: fit, encode and write rows of Criteo's shape, from typed Parquet and raw text.

Sides: our native engine, NVTabular on pandas, and a plain Polars script as one would write it by
hand (`benchmarks/etl_sides.py`). All read the same rows and write the same columns at zstd level 1;
their outputs are compared first. Each run is its own process, timed without its imports. NVTabular
runs at the smaller size only. For raw text our time includes the survey, a separate pass over the
log.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.criteo_rows import CATEGORICAL, CONTINUOUS, write_parquet, write_text
from benchmarks.harness import OURS, Benchmark, Case, parser, python_output
from plumbline.base.errors import DataError

SMALL, LARGE = 2_000_000, 20_000_000
NVTABULAR, PLAIN = "nvtabular", "plain polars"
SPLIT_ROWS = 1000
"""Rows of the two small files next to a raw log, the validation and test splits."""

FLOAT_TOLERANCE = 2e-5
"""Peers compute log and normalization in float32."""


@dataclass(frozen=True, slots=True)
class Input:
    """Rows in one of the two file formats."""

    file_format: str
    path: Path
    rows: int

    @property
    def name(self) -> str:
        return f"{self.rows:,} rows, {self.file_format}"

    @classmethod
    def write(cls, file_format: str, folder: Path, rows: int) -> Input:
        written = cls(file_format, folder / f"{file_format}-{rows}", rows)
        if file_format == "parquet":
            write_parquet(written.path, rows)
        else:
            write_text(written.path, rows)
            for seed, split in enumerate(("valid", "test"), start=2):
                write_text(written.path.with_name(f"{written.path.name}.{split}"), SPLIT_ROWS, seed)
        return written


@dataclass(slots=True)
class Runs:
    """Runs each side in its own process, and records peak memory in MB."""

    scratch: Path
    peak_mb: dict[tuple[str, str, int], int]

    def seconds(self, side: str, given: Input) -> float:
        out = self.scratch / "out"
        try:
            return self.run(side, given, out)
        finally:
            shutil.rmtree(out, ignore_errors=True)

    def run(self, side: str, given: Input, out: Path) -> float:
        """Run once into `out`; returns seconds. Raises DataError if the side fails."""
        words = ["-m", "benchmarks.etl_sides", side, given.file_format, str(given.path), str(out)]
        printed = python_output(f"{side} on {given.path.name}", words)
        reported = json.loads(printed.splitlines()[-1])
        key = (side, given.file_format, given.rows)
        self.peak_mb[key] = max(self.peak_mb.get(key, 0), reported["peak_mb"])
        return float(reported["seconds"])


def check_equal_output(runs: Runs, given: Input, sides: list[str]) -> dict[str, list[float]]:
    """Run every side once and require equal ids and floats in equal order; returns each's seconds.

    NVTabular does not define the order of values with equal counts, so its ids are compared up to
    that order.
    """
    frames, seconds = {}, {}
    for side in sides:
        out = runs.scratch / "checked"
        seconds[side] = [runs.run(side, given, out)]
        files = sorted((out / "train").glob("*.parquet"), key=lambda f: (len(f.name), f.name))
        columns = [*CATEGORICAL, *CONTINUOUS]
        read = [pl.read_parquet(file, columns=columns) for file in files]
        frames[side] = pl.concat(read, how="vertical_relaxed")
        shutil.rmtree(out)
    ours = frames[OURS]
    for side, got in frames.items():
        for name in CATEGORICAL:
            one, other = ours[name].cast(pl.Int64), got[name].cast(pl.Int64)
            if not (same_but_for_ties(one, other) if side == NVTABULAR else one.equals(other)):
                raise DataError(f"{side} gives other ids in {name} than ours: not equal work.")
        for name in CONTINUOUS:
            difference = np.abs(got[name].to_numpy() - ours[name].to_numpy()).max()
            if not difference <= FLOAT_TOLERANCE:
                raise DataError(f"{side} differs from ours by {difference} in {name}.")
    return seconds


def same_but_for_ties(one: pl.Series, other: pl.Series) -> bool:
    """Whether ids map one to one: special ids to themselves, others to ids of equal count."""
    pairs = pl.DataFrame({"one": one, "other": other}).group_by("one", "other").len().sort("other")
    special = pairs.filter((pl.col("one") < 3) | (pl.col("other") < 3))
    vocabulary = pairs.filter(pl.col("other") >= 3)
    return (
        len(one) == len(other)
        and pairs["one"].n_unique() == pairs["other"].n_unique() == len(pairs)
        and special["one"].equals(special["other"])
        and vocabulary["len"].is_sorted(descending=True)
    )


def measure(benchmark: Benchmark, runs: Runs, given: Input, sides: list[str], repeats: int) -> Case:
    work = {side: lambda side=side: runs.seconds(side, given) for side in sides}
    return benchmark.run(given.name, "s", work, repeats)


def main() -> None:
    options = parser(__doc__).parse_args()
    benchmark = Benchmark("etl")
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(Path(folder), {})
        if options.quick:
            for file_format in ("parquet", "text"):
                given = Input.write(file_format, runs.scratch, 20_000)
                seconds = check_equal_output(runs, given, [OURS, NVTABULAR, PLAIN])
                benchmark.add(given.name, "s", seconds)
        else:
            for file_format in ("parquet", "text"):
                _measure_format(benchmark, runs, file_format)
    benchmark.report(options.json)


def _measure_format(benchmark: Benchmark, runs: Runs, file_format: str) -> None:
    small = Input.write(file_format, runs.scratch, SMALL)
    check_equal_output(runs, small, [OURS, NVTABULAR, PLAIN])
    at_small = measure(benchmark, runs, small, [OURS, PLAIN], 5)
    # NVTabular takes minutes, in which the machine may drift, so it has its own case.
    with_nvtabular = measure(benchmark, runs, small, [OURS, NVTABULAR], 2)
    large = Input.write(file_format, runs.scratch, LARGE)
    at_large = measure(benchmark, runs, large, [OURS, PLAIN], 2)
    shutil.rmtree(large.path) if file_format == "parquet" else large.path.unlink()

    def target(what: str, value: float, at_least: float) -> None:
        benchmark.at_least(f"{what}, {file_format}", value, at_least)

    target("times NVTabular on pandas, 2 M rows", with_nvtabular.ratios[NVTABULAR], 8.0)
    target("times plain Polars, 2 M rows", at_small.ratios[PLAIN], 1.0)
    target("times plain Polars, 20 M rows", at_large.ratios[PLAIN], 1.0)
    peak = runs.peak_mb[OURS, file_format, LARGE] / 1024
    benchmark.at_most(f"GB of peak memory, 20 M rows, {file_format}", peak, 3.0)
    growth = at_large.median(OURS) / LARGE / (at_small.median(OURS) / SMALL)
    benchmark.at_most(f"time a row, 20 M over 2 M rows, {file_format}", growth, 1.15)


if __name__ == "__main__":
    main()
