"""Kind string: text, bytes, and values with one way to write them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.columns.value_rules import advice, kinds, text_values
from plumbline.columns.value_rules.converted import Converted, mask_of, not_refused
from plumbline.columns.value_rules.numbers import without_zero_fraction
from plumbline.columns.value_rules.rules import ValueRules

_EXACT_FLOATS = 2.0**63


def string(column: pl.Series, rules: ValueRules) -> Converted:
    """Text that has passed `as_text` and `cleaned`, or other values as text."""
    dtype = column.dtype
    if dtype == pl.String:
        return Converted(column, not_refused(column), kinds.ACCEPTED["string"].wanted)
    if dtype.is_float():
        text, malformed = _of_floats(column)
    elif dtype.is_decimal():
        text = without_zero_fraction(column)
        malformed = mask_of(text.str.contains(".", literal=True).fill_null(False))
        text = text.set(pl.Series(malformed), None)
    else:
        text, malformed = _written(column), not_refused(column)
    return Converted(
        cleaned(text, rules, trim=False),
        malformed,
        kinds.ACCEPTED["string"].wanted,
        advice=advice.of_string,
    )


def as_text(column: pl.Series) -> tuple[pl.Series, NDArray[np.bool_]]:
    """Dictionaries and bytes as text, and the mask of bytes that are not UTF-8.

    Columns of other types are not changed.
    """
    if column.dtype in (pl.Categorical, pl.Enum):
        return column.cast(pl.String), not_refused(column)
    if column.dtype != pl.Binary:
        return column, not_refused(column)
    raw = column.to_arrow()
    try:
        return pl.Series(column.name, raw.cast(pa.large_string())), not_refused(column)
    except pa.ArrowInvalid:
        texts = [None if value is None else decoded(value) for value in raw.to_pylist()]
    text = pl.Series(column.name, texts, pl.String)
    return text, mask_of(column.is_not_null() & text.is_null())


def cleaned(text: pl.Series, rules: ValueRules, trim: bool) -> pl.Series:
    """Text that is null if it is empty or a word for missing values."""
    if trim:
        text = text.str.strip_chars(text_values.BLANKS)
    missing = text == ""
    if rules.missing:
        missing |= text.is_in(rules.missing)
    return text.set(missing.fill_null(False), None)


def decoded(value: bytes) -> str | None:
    """The text of UTF-8 bytes, or None."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _of_floats(column: pl.Series) -> tuple[pl.Series, NDArray[np.bool_]]:
    number = column.cast(pl.Float64).fill_nan(None)
    whole = (number == number.floor()) & number.is_finite()
    small = whole & (number.abs() < _EXACT_FLOATS)
    text = number.set(~small.fill_null(False), None).cast(pl.Int64).cast(pl.String)
    for row in (whole & ~small).fill_null(False).arg_true().to_list():
        text[row] = str(int(number[row]))
    return text, mask_of((number.is_not_null() & ~whole).fill_null(False))


def _written(column: pl.Series) -> pl.Series:
    text: pl.Series
    if column.dtype == pl.Date:
        text = column.dt.to_string("%Y-%m-%d")
    elif isinstance(column.dtype, pl.Datetime):
        zoned = column.dtype.time_zone is not None
        if zoned:
            column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        text = column.dt.to_string("%Y-%m-%dT%H:%M:%S%.f" + ("Z" if zoned else ""))
    else:
        text = column.cast(pl.String)
    return text
