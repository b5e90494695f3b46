"""The values of the column of a split by group, as one 64-bit number per row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plumbline.base.errors import DataError
from plumbline.columns import exact
from plumbline.columns.value_hash import MISSING_HASH, value_hash
from plumbline.columns.values import Values, is_missing

GROUP = "\x1fgroup"
"""Name of the numbers' column until the rows are split; no log column has a control character."""

NO_GROUP = np.uint64(MISSING_HASH)
"""The number of a missing value."""


def group_of(values: Values) -> NDArray[np.uint64]:
    """The hash of each value, `NO_GROUP` if it is missing; uint64 (B,)."""
    hashes = value_hash(values)
    hashes[hashes == NO_GROUP] = 0
    hashes[is_missing(values)] = NO_GROUP
    return hashes


def with_text(file: Path, frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """The frame of a Parquet file with the column as text, as a text file has it.

    Whole numbers of any type have no decimal point; NaN is missing.

    Raises
    ------
    DataError
        The column does not hold single values.
    """
    raw, dtype = exact.column(column), frame.schema[column]
    if dtype.is_nested() or isinstance(dtype, pl.Object):
        raise DataError(
            f"{file}: column {column!r} is {dtype}, wanted single values to split the rows by."
        )
    if dtype.is_float():
        number = raw.cast(pl.Float64)
        is_whole = (number == number.floor()) & (number.abs() < 2.0**63)
        whole = number.cast(pl.Int64, strict=False).cast(pl.String)
        text = pl.when(is_whole).then(whole).otherwise(raw.cast(pl.String))
        text = pl.when(number.is_not_nan()).then(text)
    elif dtype.is_numeric() or dtype.is_temporal() or isinstance(dtype, pl.Boolean):
        text = raw.cast(pl.String)
    else:
        return frame
    return frame.with_columns(text.alias(column))
