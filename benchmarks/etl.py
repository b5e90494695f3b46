"""ETL side by side: fit, encode and write rows of Criteo's shape, typed Parquet to encoded Parquet.

Sides: our Polars engine, NVTabular on pandas, and a plain Polars script as one would write it by
hand. All read the same files and write the same columns at zstd level 1 (pyarrow's default, which
NVTabular's side has); ids are checked to be equal first.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from benchmarks.harness import OURS, Benchmark, parser
from features.columns import CLICK, FeatureKind
from features.errors import DataError
from features.polars_engine import PolarsEngine
from features.settings import CriteoWorkflow
from workflows.compile import compile_unfitted
from workflows.engine import NVTabularEngine
from workflows.graphs import build

ROWS_PER_PART = 500_000
THRESHOLD = 15
SETTINGS = CriteoWorkflow(graph="criteo", frequency_threshold=THRESHOLD)

# Distinct values of Criteo Kaggle's 26 columns in the whole log; rows draw from them by Zipf's law.
CARDINALITIES = (
    1460, 583, 10_131_227, 2_202_608, 305, 24, 12_517, 633, 3, 93_145, 5683, 8_351_593, 3194,
    27, 14_992, 5_461_306, 10, 5652, 2173, 4, 7_046_547, 18, 15, 286_181, 105, 142_572,
)  # fmt: skip
CONTINUOUS = [f"I{n}" for n in range(1, 14)]
CATEGORICAL = [f"C{n}" for n in range(1, 27)]
KINDS: dict[str, FeatureKind] = {
    **dict.fromkeys(CONTINUOUS, "continuous"),
    **dict.fromkeys(CATEGORICAL, "hex"),
}


def write_rows(folder: Path, rows: int) -> None:
    """Typed Parquet as the ingest writes it, about 5 % nulls in every column."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(1)
    for part, first in enumerate(range(0, rows, ROWS_PER_PART)):
        count = min(ROWS_PER_PART, rows - first)
        columns = {}
        for name in CONTINUOUS:
            values = np.floor(generator.lognormal(1.5, 2.0, count))
            columns[name] = pl.Series(values, dtype=pl.Float32)
        for name, cardinality in zip(CATEGORICAL, CARDINALITIES, strict=True):
            rank = np.floor(cardinality ** generator.random(count)).astype(np.int64)
            columns[name] = pl.Series((rank * 2654435761) % 2**32)
        columns[CLICK] = pl.Series(generator.random(count) < 0.25).cast(pl.Int8)
        nulls = {
            name: pl.when(pl.Series(generator.random(count) >= 0.05)).then(pl.col(name)).alias(name)
            for name in KINDS
        }
        frame = pl.DataFrame(columns).with_columns(**nulls)
        frame.write_parquet(folder / f"part-{part:05d}.parquet", compression="zstd")


def ours(train: Path, out: Path) -> None:
    plan = compile_unfitted(build(KINDS, SETTINGS, out / "unused"), KINDS)
    PolarsEngine(plan).fit_transform(KINDS, {"train": train}, out, _nobody)


def nvtabular(train: Path, out: Path) -> None:
    engine = NVTabularEngine("cpu", None)
    engine.fit_transform(SETTINGS, KINDS, {"train": train}, out, _nobody)


def plain_polars(train: Path, out: Path) -> None:
    """What one would write by hand: count, normalize, join, one query, one file."""
    out.mkdir(parents=True)
    raw = pl.scan_parquet(train / "part-*.parquet")
    logged = [(pl.col(n).fill_null(0).clip(0) + 1).log().alias(n) for n in CONTINUOUS]
    statistics = raw.select(logged).select(
        *(pl.col(n).mean().name.suffix(".mean") for n in CONTINUOUS),
        *(pl.col(n).std().name.suffix(".std") for n in CONTINUOUS),
    )
    counted = [
        raw.select(pl.col(name))
        .drop_nulls()
        .group_by(name)
        .len()
        .filter(pl.col("len") >= THRESHOLD)
        .sort("len", name, descending=[True, False])
        .with_row_index("id", offset=3)
        .select(name, pl.col("id").cast(pl.Int32).alias(f"{name}.id"))
        for name in CATEGORICAL
    ]
    found, *vocabularies = pl.collect_all([statistics, *counted])
    frame = raw.with_columns(logged).collect()
    for name, vocabulary in zip(CATEGORICAL, vocabularies, strict=True):
        frame = frame.join(vocabulary, on=name, how="left", maintain_order="left")
    ids = [
        pl.when(pl.col(name).is_null()).then(1).otherwise(pl.col(f"{name}.id").fill_null(2))
        .cast(pl.Int32).alias(name)
        for name in CATEGORICAL
    ]  # fmt: skip
    floats = [
        ((pl.col(n) - found[f"{n}.mean"][0]) / found[f"{n}.std"][0]).cast(pl.Float32).alias(n)
        for n in CONTINUOUS
    ]
    frame.select(*ids, *floats, CLICK).write_parquet(
        out / "part-00000.parquet", compression="zstd", compression_level=1
    )


SIDES: dict[str, Callable[[Path, Path], None]] = {
    OURS: ours,
    "nvtabular": nvtabular,
    "plain polars": plain_polars,
}


def check_equal_output(train: Path, folder: Path) -> None:
    """Every side once: the same ids in the same order, or the timing means nothing."""
    ids = {}
    for side, work in SIDES.items():
        out = folder / side
        work(train, out)
        files = sorted((out if side == "plain polars" else out / "train").glob("part-*.parquet"))
        ids[side] = pl.concat(
            [pl.from_arrow(pq.read_table(file, columns=CATEGORICAL)) for file in files]
        )
        shutil.rmtree(out)
    for side, came in ids.items():
        if not came.equals(ids[OURS]):
            raise DataError(f"{side} gives other ids than ours, so the work is not equal.")


def main() -> None:
    options = parser(__doc__).parse_args()
    sizes, repeats = ([20_000], 1) if options.quick else ([2_000_000], 3)
    benchmark = Benchmark("etl")
    for rows in sizes:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            write_rows(folder / "typed" / "train", rows)
            train = folder / "typed" / "train"
            check_equal_output(train, folder)

            def timed(work: Callable[[Path, Path], None], train=train, folder=folder) -> None:
                shutil.rmtree(folder / "out", ignore_errors=True)
                work(train, folder / "out")

            sides = {side: lambda work=work: timed(work) for side, work in SIDES.items()}
            case = benchmark.run(f"{rows:,} rows", sides, repeats)
    if not options.quick:
        benchmark.target("times NVTabular on pandas, 2 M rows", case.ratios["nvtabular"], 8.0)
        benchmark.target("times plain Polars, 2 M rows", case.ratios["plain polars"], 1.0)
    benchmark.report(options.json)


def _nobody(rows: int) -> None:
    """Progress that nobody wants to see."""


if __name__ == "__main__":
    main()
