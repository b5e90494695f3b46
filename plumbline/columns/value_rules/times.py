"""Times since 1970, in seconds or microseconds.

They are read from numbers, dates, ISO 8601 text, and text in a given format.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from functools import partial

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.columns.value_rules import kinds
from plumbline.columns.value_rules.converted import Converted, by_value, mask_of
from plumbline.columns.value_rules.epoch import MICROSECONDS, units_per_second
from plumbline.columns.value_rules.numbers import reals, with_points, without_zero_fraction
from plumbline.columns.value_rules.rules import ValueRules
from plumbline.columns.value_rules.text_values import REFUSED, Refused

_SECONDS_A_DAY = 86_400.0
_END = 2.0**62
"""The time of a feature is closer to 1970 than this, so that differences fit into 64 bits."""

_LOCAL_FORMATS = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f")
_ZONED_FORMATS = ("%Y-%m-%dT%H:%M:%S%.f%#z",)
_EPOCH = datetime(1970, 1, 1)

_ISO = re.compile(
    r"(?P<date>\d{4}-\d{1,2}-\d{1,2}|\d{8}|\d{4}-\d{2}|\d{4}-?W\d{2}(?:-?\d)?|\d{4}-?\d{3})"
    r"(?:(?:T|t|[ ]+)(?P<hour>\d{1,2})"
    r"(?::?(?P<minute>\d{2})(?::?(?P<second>\d{2}))?)?(?:[.,](?P<fraction>\d+))?)?"
    r"[ ]?(?P<zone>Z|z|UTC|GMT|(?:UTC|GMT)?[+-]\d{2}(?::?\d{2})?)?",
    re.ASCII,
)

_PLAIN_DIRECTIVES = frozenset("YmdHMSyBbjIp")
"""The directives of a format that Polars reads as Python does."""


def order(column: pl.Series, rules: ValueRules) -> Converted:
    """Seconds in float64; a missing time is malformed."""
    seconds = _seconds(column, rules)
    malformed = ~mask_of(seconds.is_finite().fill_null(False))
    return _converted(seconds, malformed, column.name, rules)


def feature(column: pl.Series, rules: ValueRules) -> Converted:
    """Microseconds in int64, to the nearest one; null if missing."""
    seconds = _seconds(column, rules)
    rounded = (seconds * MICROSECONDS).round()
    fits = mask_of((rounded.abs() < _END).fill_null(False))
    value = rounded.set(~pl.Series(fits), None).cast(pl.Int64)
    malformed = ~fits & ~_is_missing(column, rules)
    return _converted(value, malformed, column.name, rules)


def _is_missing(column: pl.Series, rules: ValueRules) -> NDArray[np.bool_]:
    if column.dtype != pl.String and not column.dtype.is_numeric():
        return mask_of(column.is_null())
    number, malformed = reals(column, rules)
    return mask_of(number.is_null()) & ~malformed


def _converted(
    value: pl.Series, malformed: NDArray[np.bool_], name: str, rules: ValueRules
) -> Converted:
    format_ = rules.time_formats.get(name)
    if format_ is not None:
        return Converted(value, malformed, f"a time of the format {format_!r}")
    return Converted(value, malformed, kinds.ACCEPTED["time"].wanted, partial(_hint, name))


def _seconds(column: pl.Series, rules: ValueRules) -> pl.Series:
    """Seconds in float64; null, or not finite, if missing or malformed."""
    format_ = rules.time_formats.get(column.name)
    if column.dtype == pl.Date or isinstance(column.dtype, pl.Datetime):
        return _of_dates(column)
    if format_ is not None:
        return _of_format(column, format_)
    if column.dtype == pl.String:
        return _of_text(column, rules)
    return _scaled(reals(column, rules)[0])


def microseconds(seconds: float) -> int:
    """The nearest microsecond, as a time that is a feature has it.

    >>> microseconds(1.5)
    1500000
    """
    return round(seconds * MICROSECONDS)


def iso_seconds(text: str) -> float | Refused:
    """Seconds of an ISO 8601 date or time; without a zone it is in UTC.

    >>> iso_seconds("19700102T000700Z"), iso_seconds("1970-W01-5 00:07 UTC")
    (86820.0, 86820.0)
    """
    found = _ISO.fullmatch(text.strip())
    if found is None:
        return REFUSED
    day = _day(found["date"])
    if day is None:
        return REFUSED
    hour, minute, second = (int(found[part] or 0) for part in ("hour", "minute", "second"))
    if hour > 24 or minute > 59 or second > 60 or (hour == 24 and (minute or second)):
        return REFUSED
    unit = 1 if found["second"] else 60 if found["minute"] else 3600
    fraction = float(f"0.{found['fraction']}") * unit if found["fraction"] else 0.0
    moment = datetime(day.year, day.month, day.day) - _EPOCH
    whole = moment // timedelta(seconds=1) + hour * 3600 + minute * 60 + second
    offset = _offset(found["zone"] or "")
    return REFUSED if offset is None else float(whole - offset) + fraction


def _day(text: str) -> date | None:
    try:
        if "W" in text:
            return _day_of_week(text)
        if len(text) == 10 or text.count("-") == 2:
            year, month, day = map(int, text.split("-"))
            return date(year, month, day)
        digits = text.replace("-", "")
        if len(digits) == 8:
            return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
        if len(digits) == 6:
            return date(int(digits[:4]), int(digits[4:]), 1)
        day_of_year = datetime.strptime(digits, "%Y%j").date()
        if day_of_year.year != int(digits[:4]):  # day 366 of a year that has 365
            return None
        return day_of_year
    except ValueError:
        return None


def _day_of_week(text: str) -> date | None:
    """As `date.fromisoformat` of Python 3.11; that of 3.10 takes no weeks."""
    digits = text.replace("-", "").replace("W", "")
    has_day = len(digits) == 7
    if text.count("-") not in (0, 1 + has_day):
        return None
    return date.fromisocalendar(int(digits[:4]), int(digits[4:6]), int(digits[6:] or 1))


def _offset(zone: str) -> int | None:
    """Seconds east of Greenwich; None if it is not an offset."""
    digits = re.sub("[^0-9]", "", zone)
    if not digits:
        return 0
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    if hours > 23 or minutes > 59:
        return None
    return (-1 if "-" in zone else 1) * (hours * 3600 + minutes * 60)


def _of_text(column: pl.Series, rules: ValueRules) -> pl.Series:
    seconds = _scaled(with_points(column, rules).cast(pl.Float64, strict=False))
    for format_ in _LOCAL_FORMATS:
        seconds = _filled(seconds, column, format_, None)
    for format_ in _ZONED_FORMATS:
        seconds = _filled(seconds, column, format_, "UTC")
    rest = mask_of(seconds.is_null() & column.is_not_null())
    if rest.any():
        values, _ = by_value(column.filter(pl.Series(rest)), iso_seconds, pa.float64())
        seconds = seconds.scatter(np.flatnonzero(rest), values)
    return seconds


def _filled(seconds: pl.Series, column: pl.Series, format_: str, zone: str | None) -> pl.Series:
    """Fill null seconds from texts in the format."""
    rest = seconds.is_null() & column.is_not_null()
    if not rest.any():
        return seconds
    texts = column.filter(rest)
    moments = texts.str.to_datetime(format_, time_unit="us", time_zone=zone, strict=False)
    return seconds.scatter(rest.arg_true(), _of_dates(moments))


def _of_format(column: pl.Series, format_: str) -> pl.Series:
    """Seconds of text, or of the digits of numbers, in a format of strptime's directives."""
    if column.dtype != pl.String:
        column = without_zero_fraction(column.cast(pl.Decimal(38, 6), strict=False))
    seconds: pl.Series = pl.Series(column.name, [None], pl.Float64).new_from_index(0, len(column))
    directives = set(re.findall("%(.)", format_))
    if directives <= _PLAIN_DIRECTIVES:
        texts, full_format = column, format_
        if directives & {"H", "I"} and "M" not in directives:  # Polars wants both or neither
            texts, full_format = column + "\x1f00", format_ + "\x1f%M"
        moments = texts.str.to_datetime(full_format, time_unit="us", strict=False)
        seconds = _of_dates(moments)
    rest = mask_of(seconds.is_null() & column.is_not_null())
    if rest.any():
        meaning = partial(_strptime_seconds, format_=format_)
        values, _ = by_value(column.filter(pl.Series(rest)), meaning, pa.float64())
        seconds = seconds.scatter(np.flatnonzero(rest), values)
    return seconds


def _strptime_seconds(text: str, format_: str) -> float | Refused:
    try:
        moment = datetime.strptime(text, format_)
    except ValueError:
        return REFUSED
    if moment.tzinfo is not None:
        moment = moment.astimezone(timezone.utc).replace(tzinfo=None)
    return (moment - _EPOCH) / timedelta(seconds=1)


def _of_dates(column: pl.Series) -> pl.Series:
    """Seconds of a column of dates or times, which are stored in UTC.

    Polars' own conversions panic at times that are far beyond all years.
    """
    stored = column.to_physical()
    unit = getattr(column.dtype, "time_unit", None)
    if unit == "ns":
        stored = stored // 1000
    numbers: pl.Series = stored.cast(pl.Float64)
    if column.dtype == pl.Date:
        numbers = numbers * _SECONDS_A_DAY
    else:
        numbers = numbers / (1000.0 if unit == "ms" else MICROSECONDS)
    return numbers


def _scaled(number: pl.Series) -> pl.Series:
    """Numbers as seconds; their size tells the unit."""
    values = number.fill_null(np.nan).to_numpy()
    return pl.Series(number.name, values / units_per_second(values)).fill_nan(None)


def _hint(name: str, found: object) -> str:
    if not isinstance(found, str):
        return ""
    return f'; give its format: {name}: {{kind: time, format: "%d/%m/%Y %H:%M"}}'
