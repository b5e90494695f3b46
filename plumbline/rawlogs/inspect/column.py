"""A column of the sampled rows: its type and values, and what they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import polars as pl

ValueType = Literal["empty", "boolean", "integer", "float", "time", "text", "list", "other"]

SURE_MISSING = (
    "NA",
    "N/A",
    "n/a",
    "<NA>",
    "#N/A",
    "NULL",
    "null",
    "(null)",
    "\\N",
    "NaN",
    "nan",
    "?",
)
"""Words that mean missing in any column."""

MISSING_AMONG_NUMBERS = (
    *SURE_MISSING, "-", "--", ".", "None", "none", "unknown", "Unknown", "missing", "nil", "Null",
)  # fmt: skip
"""Words that mean missing if all other values of the column are numbers."""

SERIES = "values"
"""The name of every series; Polars would treat a name such as `^a$` as a pattern."""

_TRUE_FALSE = frozenset({"true", "false"})
_INTEGER = r"^[+-]?\d+(\.0+)?$"
_GROUPED = r"^[+-]?\d{1,3}([,.' ]\d{3})+([.,]\d+)?$"
_MOSTLY = 0.98


@dataclass(frozen=True)
class Column:
    """A column of the sample: `values` by type, null if missing; `text` as in the file, if it is
    text."""

    name: str
    type: ValueType
    values: pl.Series
    text: pl.Series | None
    dtype: str
    """The type in Parquet, or text."""

    @cached_property
    def rows(self) -> int:
        return len(self.values)

    @cached_property
    def present(self) -> pl.Series:
        return self.values.drop_nulls()

    @cached_property
    def missing(self) -> float:
        """Share of the rows that are missing."""
        return self.values.null_count() / max(self.rows, 1)

    @cached_property
    def distinct(self) -> int:
        if self.type in ("list", "other", "empty"):
            return 0
        return self.present.n_unique()

    @cached_property
    def counts(self) -> dict[object, int]:
        """Value to its number of rows, the most frequent first; for columns with few values."""
        found = self.present.value_counts(sort=True).sort("count", descending=True)
        return dict(found.iter_rows())

    @cached_property
    def distinct_share(self) -> float:
        """Distinct values over values: 1 if no value is repeated."""
        return self.distinct / max(len(self.present), 1)

    @property
    def is_number(self) -> bool:
        return self.type in ("integer", "float")


def number(value: object) -> float:
    """A mean, minimum or maximum of Polars as a float; 0 for an empty series."""
    return float(value) if isinstance(value, int | float) else 0.0


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """Marks in the numbers of a text table."""

    decimal: str = "."
    thousands: str | None = None
    is_ambiguous: bool = False


def number_format(columns: Sequence[pl.Series], separator: str | None) -> NumberFormat:
    """Decimal and thousands marks, by the columns whose values are all numbers.

    `separator` is that of an unquoted table: it cannot be a thousands mark.
    """
    grouped: set[str] = set()
    has_comma_decimals = ambiguous = False
    for text in columns:
        seen = text.drop_nulls().unique().head(5000)
        seen = seen.filter(~seen.is_in(list(MISSING_AMONG_NUMBERS)))
        marked = seen.filter(seen.str.contains(r"^[+-]?[\d.,' ]*[,' ][\d.,' ]*\d$"))
        numbers = seen.str.contains(r"^[+-]?[\d.,' ]*\d([eE][+-]?\d+)?$")
        if len(marked) == 0 or number(numbers.mean()) < _MOSTLY:
            continue
        if marked.str.contains(_GROUPED).all():
            marks = marked.str.extract(r"^[+-]?\d{1,3}([,.' ])\d{3}")
            certain = marked.str.contains(r"([,.' ]\d{3}){2}|\d{3}[.,]\d+$.*").any()
            longer = seen.filter(seen.str.contains(r"^[+-]?\d{4,}$"))
            if certain or len(longer) == 0:
                grouped |= set(marks.unique().to_list())
            ambiguous |= not certain
        elif marked.str.contains(r"^[+-]?\d*,\d+$").all():
            has_comma_decimals = True
        elif marked.str.contains(r"^[+-]?\d{1,3}(\.\d{3})*,\d+$").all():
            has_comma_decimals = True
            grouped.add(".")
    if has_comma_decimals:
        return NumberFormat(",", "." if "." in grouped else None)
    thousands = next(iter(sorted(mark for mark in grouped if mark and mark != ".")), None)
    return NumberFormat(".", None if thousands == separator else thousands, ambiguous)


def text_column(
    name: str, text: pl.Series, numbers: NumberFormat, missing: Sequence[str]
) -> Column:
    """A column of a text file; `text` has null for empty fields."""
    text = text.rename(SERIES)
    kept = text.set(text.is_in(list(missing)).fill_null(False), None) if missing else text
    present = kept.drop_nulls()
    if len(present) == 0:
        return Column(name, "empty", kept, text, "text")
    if set(present.head(1000).str.to_lowercase().unique()) <= _TRUE_FALSE:
        lower = kept.str.to_lowercase()
        if set(lower.drop_nulls().unique()) <= _TRUE_FALSE:
            return Column(name, "boolean", lower == "true", text, "text")
    plain = _plain_numbers(kept, numbers)
    parsed = plain.cast(pl.Float64, strict=False)
    if parsed.null_count() > kept.null_count() or not _have_digits(present):
        return Column(name, "text", kept, text, "text")
    if plain.drop_nulls().str.contains(_INTEGER).all():
        has_zeros = present.str.contains(r"^0\d").any()
        if has_zeros:
            return Column(name, "text", kept, text, "text")
        return Column(name, "integer", _integers(plain, parsed), text, "text")
    return Column(name, "float", parsed.fill_nan(None), text, "text")


def _plain_numbers(text: pl.Series, numbers: NumberFormat) -> pl.Series:
    if numbers.thousands is not None:
        text = text.str.replace_all(numbers.thousands, "", literal=True)
    if numbers.decimal == ",":
        text = text.str.replace(",", ".", literal=True)
    return text


def _have_digits(present: pl.Series) -> bool:
    """Polars also parses inf and nan as numbers."""
    return bool(present.str.contains(r"\d").all())


def _integers(plain: pl.Series, parsed: pl.Series) -> pl.Series:
    whole = plain.str.replace(r"\.0+$", "").cast(pl.Int64, strict=False)
    return whole if whole.null_count() == parsed.null_count() else parsed


def parquet_column(name: str, values: pl.Series) -> Column:
    values = values.rename(SERIES)
    dtype = values.dtype
    type_name = str(dtype)
    if isinstance(dtype, pl.Categorical | pl.Enum | pl.Binary):
        values = values.cast(pl.String, strict=False)
    value_type: ValueType = "other"
    if values.null_count() == len(values):
        value_type = "empty"
    elif isinstance(values.dtype, pl.String):
        values = values.set(values == "", None)
        value_type = "text" if values.null_count() < len(values) else "empty"
    elif isinstance(dtype, pl.Boolean):
        value_type = "boolean"
    elif dtype.is_integer():
        value_type = "integer"
    elif isinstance(dtype, pl.Decimal):
        value_type = "float" if dtype.scale else "integer"
        values = values.cast(pl.Float64 if dtype.scale or dtype.precision > 18 else pl.Int64)
    elif dtype.is_float():
        value_type, values = _floats(values)
    elif isinstance(dtype, pl.Date | pl.Datetime):
        value_type = "time"
    elif isinstance(dtype, pl.List | pl.Array):
        value_type = "list"
    return Column(name, value_type, values, None, type_name)


def without_words(column: Column, missing: Sequence[str]) -> Column:
    """A column of Parquet; in a text column the words that mean missing become null."""
    if column.type != "text" or not missing:
        return column
    values = column.values.set(column.values.is_in(list(missing)).fill_null(False), None)
    value_type: ValueType = "text" if values.null_count() < len(values) else "empty"
    return replace(column, values=values, type=value_type)


def _floats(values: pl.Series) -> tuple[ValueType, pl.Series]:
    """Whole floats with missing values count as integers: pandas stores those as floats."""
    values = values.fill_nan(None)
    present = values.drop_nulls()
    if len(present) == 0:
        return "empty", values
    is_whole = present.is_finite().all() and (present == present.round(0)).all()
    if is_whole and values.null_count() and number(present.abs().max()) < 2**53:
        return "integer", values.cast(pl.Int64)
    return "float", values


def missing_words(columns: Sequence[pl.Series]) -> list[str]:
    """Words of a text table that mean missing, in the order of `MISSING_AMONG_NUMBERS`.

    More words mean missing in a column of numbers; NA among two-letter words is a country.
    """
    found: set[str] = set()
    for text in columns:
        seen = text.drop_nulls().unique()
        words = seen.filter(seen.is_in(list(MISSING_AMONG_NUMBERS)))
        if len(words) == 0:
            continue
        others = seen.filter(~seen.is_in(words.to_list()))
        numbers = others.str.replace_all(r"[,' ]", "").cast(pl.Float64, strict=False)
        is_numeric = len(others) > 0 and numbers.null_count() == 0
        codes = number(others.str.contains(r"^[A-Z]{2}$").mean()) > 0.8
        for word in words.to_list():
            is_code = word == "NA" and codes and len(others) >= 5
            if is_numeric or (word in SURE_MISSING and not is_code):
                found.add(word)
    return [word for word in MISSING_AMONG_NUMBERS if word in found]
