"""ETL side by side: fit, encode and write rows of Criteo's shape, from typed Parquet and raw text.

Sides: our Polars engine, NVTabular on pandas, and a plain Polars script as one would write it by
hand (`benchmarks/etl_sides.py`). All read the same rows and write the same columns at zstd level 1;
their outputs are compared first. Each run is a process of its own, timed without its imports.
NVTabular runs at the smaller size only. Of a raw text our side's time includes the survey, a pass
over the log of its own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.criteo_rows import CATEGORICAL, CONTINUOUS, write_parquet, write_text
from benchmarks.harness import OURS, Benchmark, Case, parser
from plumbline.base.errors import DataError

SMALL, LARGE = 2_000_000, 20_000_000
NVTABULAR, PLAIN = "nvtabular", "plain polars"
SPLIT_ROWS = 1000
"""Rows of the two small files beside a raw log, which validate and test."""

FLOAT_TOLERANCE = 2e-5
"""Peers compute log and normalization in float32."""


@dataclass(frozen=True, slots=True)
class Input:
    """Rows in one of the two forms."""

    form: str
    path: Path
    rows: int

    @property
    def name(self) -> str:
        return f"{self.rows:,} rows, {self.form}"

    @classmethod
    def write(cls, form: str, folder: Path, rows: int) -> Input:
        made = cls(form, folder / f"{form}-{rows}", rows)
        if form == "parquet":
            write_parquet(made.path, rows)
        else:
            write_text(made.path, rows)
            for seed, split in enumerate(("valid", "test"), start=2):
                write_text(made.path.with_name(f"{made.path.name}.{split}"), SPLIT_ROWS, seed)
        return made


@dataclass(slots=True)
class Runs:
    """Runs sides in processes of their own, and keeps their peak memory in MB."""

    scratch: Path
    peak_mb: dict[tuple[str, str, int], int]

    def seconds(self, side: str, given: Input) -> float:
        out = self.scratch / "out"
        try:
            return self.run(side, given, out)
        finally:
            shutil.rmtree(out, ignore_errors=True)

    def run(self, side: str, given: Input, out: Path) -> float:
        """One run into `out`; raises DataError where the side fails."""
        command = [sys.executable, "-m", "benchmarks.etl_sides", side, given.form, given.path, out]
        done = subprocess.run(
            list(map(str, command)),
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise DataError(f"{side} on {given.path.name} failed: {done.stderr[-2000:]}")
        found = json.loads(done.stdout.splitlines()[-1])
        key = (side, given.form, given.rows)
        self.peak_mb[key] = max(self.peak_mb.get(key, 0), found["peak_mb"])
        return float(found["seconds"])


def check_equal_output(runs: Runs, given: Input, sides: list[str]) -> dict[str, list[float]]:
    """Every side once: the same ids and floats in the same order, or the timing means nothing.

    Returns each side's seconds.
    NVTabular leaves the order of values with one count open, so its ids are compared but for that.
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
    for side, came in frames.items():
        for name in CATEGORICAL:
            one, other = ours[name].cast(pl.Int64), came[name].cast(pl.Int64)
            if not (same_but_for_ties(one, other) if side == NVTABULAR else one.equals(other)):
                raise DataError(f"{side} gives other ids in {name} than ours: not equal work.")
        for name in CONTINUOUS:
            difference = np.abs(came[name].to_numpy() - ours[name].to_numpy()).max()
            if not difference <= FLOAT_TOLERANCE:
                raise DataError(f"{side} differs from ours by {difference} in {name}.")
    return seconds


def same_but_for_ties(one: pl.Series, other: pl.Series) -> bool:
    """One id for one id, the special ones the same, all others among those of equal count."""
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
            for form in ("parquet", "text"):
                given = Input.write(form, runs.scratch, 20_000)
                seconds = check_equal_output(runs, given, [OURS, NVTABULAR, PLAIN])
                benchmark.add(given.name, "s", seconds)
        else:
            for form in ("parquet", "text"):
                _measure_form(benchmark, runs, form)
    benchmark.report(options.json)


def _measure_form(benchmark: Benchmark, runs: Runs, form: str) -> None:
    small = Input.write(form, runs.scratch, SMALL)
    check_equal_output(runs, small, [OURS, NVTABULAR, PLAIN])
    at_small = measure(benchmark, runs, small, [OURS, PLAIN], 5)
    # Its minutes would let the two others' turns drift apart, so it has a case of its own.
    with_nvtabular = measure(benchmark, runs, small, [OURS, NVTABULAR], 2)
    large = Input.write(form, runs.scratch, LARGE)
    at_large = measure(benchmark, runs, large, [OURS, PLAIN], 2)
    shutil.rmtree(large.path) if form == "parquet" else large.path.unlink()

    def target(what: str, value: float, at_least: float) -> None:
        benchmark.at_least(f"{what}, {form}", value, at_least)

    target("times NVTabular on pandas, 2 M rows", with_nvtabular.ratios[NVTABULAR], 8.0)
    target("times plain Polars, 2 M rows", at_small.ratios[PLAIN], 1.0)
    target("times plain Polars, 20 M rows", at_large.ratios[PLAIN], 1.0)
    peak = runs.peak_mb[OURS, form, LARGE] / 1024
    benchmark.at_most(f"GB of peak memory, 20 M rows, {form}", peak, 3.0)
    growth = at_large.median(OURS) / LARGE / (at_small.median(OURS) / SMALL)
    benchmark.at_most(f"time a row, 20 M over 2 M rows, {form}", growth, 1.15)


if __name__ == "__main__":
    main()
