"""Arrow columns, as Parquet files have them, as Polars columns with the same values."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import DataError
from rawlogs.headers import shortened


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
        return _known(column.dictionary_decode())
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
    if pa.types.is_list_view(dtype):
        return _known(column.cast(pa.list_(dtype.value_type)))
    if pa.types.is_large_list_view(dtype):
        return _known(column.cast(pa.large_list(dtype.value_type)))
    if pa.types.is_fixed_size_list(dtype):
        return _known(column.cast(pa.list_(dtype.value_type)))
    if pa.types.is_list(dtype) or pa.types.is_large_list(dtype):
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
    """A column of lists, whose elements are of a type that Polars has."""
    values = _known(column.values)
    if values.type == column.values.type:
        return column
    size = 8 if pa.types.is_large_list(column.type) else 4
    kind = pa.large_list(values.type) if size == 8 else pa.list_(values.type)
    validity, offsets = column.buffers()[:2]
    return pa.Array.from_buffers(
        kind, len(column), [validity, offsets], column.null_count, column.offset, [values]
    )
