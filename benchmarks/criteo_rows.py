"""Rows of Criteo's shape: 13 counts, 26 hashed categories, a click; as typed Parquet or raw text.

The categories have the cardinalities of the Criteo display advertising challenge, and rows draw
from them by Zipf's law; 5 % of the values are missing in every column.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plumbline.columns.kinds import CLICK, FeatureKind

# Distinct values of the challenge's 26 columns in the whole log: 33.7 million together.
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
LOG: dict[str, Any] = {
    "separator": "\t",
    "header": False,
    "columns": {CLICK: "label", "I1..I13": "continuous", "C1..C26": "hex"},
}
"""The section `log` of a configuration for Criteo's text format."""
ROWS_PER_PART = 500_000
MISSING = 0.05

_SPREAD = 2_654_435_761  # odd, so no two ranks below 2³² have one value
_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)


def value_of(rank: NDArray[np.int64]) -> NDArray[np.int64]:
    """The category of each rank, 32 bits, shape as given."""
    return rank * _SPREAD % 2**32


def frames(rows: int, seed: int = 1) -> Iterator[pl.DataFrame]:
    """The rows in chunks: the columns of KINDS (Float32 numbers, Int64 categories), the click."""
    generator = np.random.default_rng(seed)
    for first in range(0, rows, ROWS_PER_PART):
        count = min(ROWS_PER_PART, rows - first)
        columns = {}
        for name in CONTINUOUS:
            values = np.floor(generator.lognormal(1.5, 2.0, count))
            columns[name] = pl.Series(values, dtype=pl.Float32)
        for name, cardinality in zip(CATEGORICAL, CARDINALITIES, strict=True):
            rank = np.floor(cardinality ** generator.random(count)).astype(np.int64)
            columns[name] = pl.Series(value_of(rank))
        columns[CLICK] = pl.Series(generator.random(count) < 0.25).cast(pl.Int8)
        there = {name: pl.Series(generator.random(count) >= MISSING) for name in KINDS}
        yield pl.DataFrame(columns).with_columns(
            pl.when(there[name]).then(pl.col(name)).alias(name) for name in KINDS
        )


def write_parquet(folder: Path, rows: int) -> None:
    """`folder/part-*.parquet`, as the ingest writes typed rows."""
    folder.mkdir(parents=True)
    for part, frame in enumerate(frames(rows)):
        frame.write_parquet(folder / f"part-{part:05d}.parquet", compression="zstd")


def write_text(file: Path, rows: int, seed: int = 1) -> None:
    """The same rows in Criteo's text format: click first, eight hexadecimal digits per category."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as stream:
        for frame in frames(rows, seed):
            text = frame.select(
                CLICK,
                *(pl.col(name).cast(pl.Int64) for name in CONTINUOUS),
                *(_hexadecimal(frame[name]) for name in CATEGORICAL),
            )
            text.write_csv(stream, separator="\t", include_header=False, quote_style="never")


def _hexadecimal(column: pl.Series) -> pl.Series:
    values = column.fill_null(0).to_numpy()
    digits = _DIGITS[values[:, None] >> np.arange(28, -1, -4) & 15]
    text = pl.Series(column.name, digits.view("S8")[:, 0].astype("U8"))
    return text.set(column.is_null(), None)
