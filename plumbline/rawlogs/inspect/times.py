"""Detects the time format of a column."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from plumbline.rawlogs.inspect import names
from plumbline.rawlogs.inspect.column import Column, number

_ISO = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?)?( ?(Z|UTC|[+-]\d{2}:?\d{2}))?$"
_DATES = (
    "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%m-%Y", "%m-%d-%Y", "%d/%m/%y", "%m/%d/%y",
    "%d.%m.%y", "%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%Y%m%d",
)  # fmt: skip
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S%.f", " %I:%M %p", " %I:%M:%S %p", "T%H:%M:%S")
_OTHERS = ("%d/%b/%Y:%H:%M:%S %z", "%a %b %d %H:%M:%S %Y", "%a, %d %b %Y %H:%M:%S %z")
_DIGITS = {8: ("%Y%m%d", "%y%m%d%H"), 10: ("%Y%m%d%H",), 12: ("%Y%m%d%H%M",), 14: ("%Y%m%d%H%M%S",)}
_EPOCHS = ((1.0, "seconds"), (1e3, "milliseconds"), (1e6, "microseconds"), (1e9, "nanoseconds"))
_FROM, _TO = 631_152_000, 4_102_444_800
"""1990 to 2100, in seconds since 1970."""
_FEW = 2000


@dataclass(frozen=True, slots=True)
class Times:
    """format: None if Plumbline knows it. seconds: float64 (rows,), null if missing."""

    format: str | None
    seconds: pl.Series
    shown: str
    is_ambiguous: bool = False
    """Day and month could be swapped."""


def times_of(column: Column) -> Times | None:
    """None if the values are not times."""
    if column.type == "time":
        moments = column.values.cast(pl.Datetime("us"))
        return Times(None, _seconds(moments), column.dtype)
    if column.type == "integer":
        return _digits(column) or _epoch(column)
    if column.type == "float":
        return _epoch(column)
    if column.type != "text":
        return None
    if (
        column.present.head(200).str.contains(_ISO).all()
        and column.present.str.contains(_ISO).all()
    ):
        return Times(None, _iso(column.values), "ISO 8601")
    return _written(column)


def _iso(text: pl.Series) -> pl.Series:
    """Seconds; time zones are ignored."""
    plain = text.str.replace("T", " ", literal=True).str.slice(0, 19)
    with_time = plain.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False)
    minutes = plain.str.slice(0, 16).str.to_datetime("%Y-%m-%d %H:%M", strict=False)
    days = plain.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
    return _seconds(with_time.zip_with(with_time.is_not_null(), minutes.fill_null(days)))


def _written(column: Column) -> Times | None:
    few = column.present.unique(maintain_order=True).head(_FEW)
    if not few.head(50).str.contains(r"\d").all() or number(few.str.len_chars().max()) > 40:
        return None
    fitting = [pattern for pattern in _formats() if _fits(few, pattern)]
    fitting = [pattern for pattern in fitting if _fits(column.present, pattern)]
    if not fitting:
        return None
    ordered = [pattern for pattern in fitting if _parse(column.present, pattern).is_sorted()]
    chosen = (ordered or fitting)[0]
    ambiguous = len({pattern.split(" ")[0] for pattern in fitting}) > 1 and len(ordered) != 1
    seconds = _seconds(_parse(column.values, chosen))
    written = chosen.replace("%.f", ".%f")  # Python's spelling
    return Times(written, seconds, written, ambiguous)


def _formats() -> list[str]:
    return [date + clock for date in _DATES for clock in _CLOCKS] + list(_OTHERS)


def _fits(text: pl.Series, pattern: str) -> bool:
    """Whether every value is a time of this pattern, between 1990 and 2100."""
    moments = _parse(text, pattern)
    return moments.null_count() == 0 and bool(_seconds(moments).is_between(_FROM, _TO).all())


def _parse(text: pl.Series, pattern: str) -> pl.Series:
    parsed = pl.first().str
    if pattern.endswith("%z"):
        moment = parsed.to_datetime(pattern, strict=False).dt.replace_time_zone(None)
    elif any(mark in pattern for mark in ("%H", "%I")):
        moment = parsed.to_datetime(pattern, strict=False)
    else:
        moment = parsed.to_date(pattern, strict=False)
    return text.to_frame().select(moment.cast(pl.Datetime("us"))).to_series()


def _digits(column: Column) -> Times | None:
    """Dates written as one number, such as 20141021 or 14102100."""
    if not names.is_time(column.name):
        return None
    text = column.values.cast(pl.Int64, strict=False).cast(pl.String)
    lengths = text.drop_nulls().str.len_chars().unique().to_list()
    if len(lengths) != 1:
        return None
    for pattern in _DIGITS.get(lengths[0], ()):
        moments = _parse_digits(text, pattern)
        seconds = _seconds(moments)
        if moments.null_count() == text.null_count() and seconds.is_between(_FROM, _TO).all():
            return Times(pattern, seconds, pattern)
    return None


def _parse_digits(text: pl.Series, pattern: str) -> pl.Series:
    """Parse digits; Polars needs minutes if there are hours."""
    return _parse(text + "00", pattern + "%M") if pattern.endswith("%H") else _parse(text, pattern)


def _epoch(column: Column) -> Times | None:
    """Seconds since 1970, or milliseconds and so on; the name must mean a time, or nothing."""
    if not (names.is_time(column.name) or names.is_anonymous(column.name)):
        return None
    values = column.values.cast(pl.Float64)
    for unit, shown in _EPOCHS:
        seconds = values / unit
        if seconds.drop_nulls().is_between(_FROM, _TO).all():
            return Times(None, seconds, f"{shown} since 1970")
    return None


def _seconds(moments: pl.Series) -> pl.Series:
    microseconds = moments.cast(pl.Datetime("us")).cast(pl.Int64)
    seconds: pl.Series = microseconds.cast(pl.Float64) / 1e6
    return seconds
