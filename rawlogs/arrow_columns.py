"""Arrow columns, as Parquet files have them, as Polars columns with the same values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import DataError
from rawlogs.headers import shortened

_LISTS = (
    pa.ListArray,
    pa.LargeListArray,
    pa.ListViewArray,
    pa.LargeListViewArray,
    pa.FixedSizeListArray,
)


def polars_column(file: Path, name: str, column: pa.Array) -> pl.Series:
    """The column; text that is not UTF-8 comes as bytes, what Polars has no type for as text.

    Raises
    ------
    DataError
        The column is of a type that is neither.
    """
    try:
        found = pl.from_arrow(_known(column))
    except (pa.ArrowException, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{file}: column {name!r} is {shortened(str(column.type))}, which is not read: "
            f"{shortened(reason, 80)}."
        ) from None
    if not isinstance(found, pl.Series):
        raise TypeError(f"wanted a polars.Series, got {type(found).__name__}")
    return found.alias(name)


def _known(column: pa.Array) -> pa.Array:
    """The same values in a type that Polars has."""
    dtype = column.type
    if isinstance(dtype, pa.BaseExtensionType):
        return _known(column.storage)
    if pa.types.is_dictionary(dtype):
        values = _known(column.dictionary)
        return pa.DictionaryArray.from_arrays(column.indices, values).dictionary_decode()
    if pa.types.is_run_end_encoded(dtype):
        return _known(pc.run_end_decode(column))
    if pa.types.is_string_view(dtype):
        return _known(column.cast(pa.large_string()))
    if pa.types.is_binary_view(dtype):
        return column.cast(pa.large_binary())
    if pa.types.is_string(dtype) or pa.types.is_large_string(dtype):
        return _text(column)
    if pa.types.is_decimal256(dtype):
        return column.cast(pa.string())
    if isinstance(column, _LISTS):
        return _lists(column)
    return column


def _text(column: pa.Array) -> pa.Array:
    """The text, as bytes where some of it is not UTF-8."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return column.view(
            pa.large_binary() if pa.types.is_large_string(column.type) else pa.binary()
        )
    return column


def _lists(column: pa.Array) -> pa.Array:
    """The lists, each of values of a type that Polars has."""
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(column) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    values = _known(column.flatten())
    return pa.LargeListArray.from_arrays(offsets, values, mask=column.is_null())
