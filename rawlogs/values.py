"""Raw values become typed ones: what each column kind accepts, as Polars expressions.

| kind | accepts | becomes |
|---|---|---|
| continuous | a number that is finite in float32; NaN is missing | float32 |
| integer | a whole number above -2⁶³, which is the null mark on the wire | int64 |
| hex | up to 16 hexadecimal digits, 63 bits | int64 |
| string | text | string |
| integer_list, hex_list, string_list | a list of these; missing is empty | list |
| flag | 0 or 1; missing is 0 | with others a list of strings, see `Table.multi_hot` |
| label | 0 or 1, or any number where `label.at_least` is set; never missing | int8 |
| time | a number, or an ISO 8601 date or time; never missing | float64 |

Empty text is missing, whatever the kind, and so is an empty element of a list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl
import polars.selectors as cs
from numpy.typing import NDArray

from features.columns import CLICK, ELEMENT_KINDS, Kind
from features.errors import DataError
from features.exact import column
from features.settings import Label, Table
from rawlogs.malformed import Fault
from rawlogs.raw_rows import RawRows

TIME = "\x1ftime"
"""Name of the time column until the rows are sorted; a control character keeps it apart."""

_MAX_HEX_DIGITS = 16
_SMALLEST_INT64 = -(2**63)
_INT64_BOUND = 2.0**63
_SHOWN_CHARACTERS = 40
_TIME_FORMATS = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f")
_ZONED_TIME_FORMATS = ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z")
_DATE_FORMAT = "%Y-%m-%d"


@dataclass(frozen=True, slots=True)
class _Conversion:
    """value: null where missing or malformed; malformed: true where the raw value is refused."""

    value: pl.Expr
    malformed: pl.Expr
    wanted: str


def convert(
    file: Path, rows: RawRows, kinds: Mapping[str, Kind], label: Label, table: Table
) -> tuple[pl.DataFrame, list[Fault]]:
    """Type a batch of `table`; rows with a refused value are left out and become faults.

    The label's column comes out as `click`, the time's as `TIME`, all others under their names;
    flags come out as the lists that the table makes of them.

    Raises
    ------
    DataError
        A Parquet column of a type that its kind cannot take.
    """
    raw = rows.columns
    conversions = {
        name: _column(file, name, raw.schema[name], kind, label, table)
        for name, kind in kinds.items()
    }
    typed = raw.lazy().select(
        *(found.value.alias(_typed_name(name, kinds[name])) for name, found in conversions.items()),
        *(found.malformed.alias(_flag(name)) for name, found in conversions.items()),
    )
    frame = typed.collect()
    flags = frame.select(_flag(name) for name in kinds)
    frame = _with_multi_hot(frame.drop(flags.columns), table)
    refused = flags.select(pl.any_horizontal(pl.all())).to_series()
    if not refused.any():
        return frame, []
    faults = _faults(raw, rows.numbers, flags, refused, conversions)
    return frame.filter(~refused), faults


def _faults(
    raw: pl.DataFrame,
    numbers: NDArray[np.int64],
    flags: pl.DataFrame,
    refused: pl.Series,
    conversions: Mapping[str, _Conversion],
) -> list[Fault]:
    faults = []
    for row in refused.arg_true():
        name = next(name for name in conversions if flags[_flag(name)][row])
        found = _shown(raw[name][row])
        reason = f"column {name!r}: wanted {conversions[name].wanted}, found {found}"
        faults.append(Fault(int(numbers[row]), reason))
    return faults


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    text = repr(value.to_list() if isinstance(value, pl.Series) else value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def _with_multi_hot(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """The frame with the lists of names, one for each of `table.multi_hot`, instead of flags."""
    for name, flags in table.multi_hot.items():
        names = [pl.when(column(flag) == 1).then(pl.lit(flag)) for flag in flags]
        lists = pl.concat_list(names).list.drop_nulls().alias(name)
        frame = frame.with_columns(lists).drop(cs.by_name(*flags))
    return frame


def _flag(name: str) -> str:
    return f"\x1fmalformed {name}"


def _typed_name(name: str, kind: Kind) -> str:
    if kind == "label":
        return CLICK
    return TIME if kind == "time" else name


def _column(
    file: Path, name: str, dtype: pl.DataType, kind: Kind, label: Label, table: Table
) -> _Conversion:
    families = _LIST_FAMILIES if kind in ELEMENT_KINDS else _FAMILIES[kind]
    if isinstance(dtype, pl.String) and kind in ELEMENT_KINDS and table.list_separator is None:
        families = ("lists",)
    _require_family(file, name, dtype, kind, families)
    if kind in ELEMENT_KINDS:
        return _list(file, name, dtype, kind, table.list_separator or "")
    return _value(*_plain(column(name), dtype), kind, label)


def _require_family(
    file: Path, name: str, dtype: pl.DataType, kind: str, families: tuple[str, ...]
) -> None:
    if not any(_is(dtype, family) for family in families):
        raise DataError(
            f"{file}: column {name!r} is {dtype}, wanted {' or '.join(families)} for kind {kind!r}."
        )


def _value(raw: pl.Expr, dtype: pl.DataType, kind: Kind, label: Label) -> _Conversion:
    if kind == "continuous":
        return _continuous(raw)
    if kind == "integer":
        return _integer(raw, dtype)
    if kind == "hex":
        return _hex(raw, dtype)
    if kind == "flag":
        return _one_or_zero(raw)
    if kind == "label":
        return _label(raw, label)
    if kind == "time":
        return _time(raw, dtype)
    return _Conversion(raw.cast(pl.String), pl.lit(False), "text")


def _list(file: Path, name: str, dtype: pl.DataType, kind: Kind, separator: str) -> _Conversion:
    raw, inner = column(name), dtype
    if isinstance(dtype, pl.Array):
        raw = raw.arr.to_list()
    if isinstance(dtype, pl.Array | pl.List):
        inner = cast(pl.DataType, dtype.inner)
    elif isinstance(dtype, pl.Null):
        raw = raw.cast(pl.List(pl.Null))
    else:
        raw, inner = _plain(raw, dtype)
        raw = raw.str.split(separator)
    element_kind = ELEMENT_KINDS[kind]
    _require_family(file, name, inner, kind, _FAMILIES[element_kind])
    element = _value(*_plain(pl.element(), inner), element_kind, Label())
    value = raw.list.eval(element.value).fill_null([])
    if element_kind == "string":
        return _Conversion(value, pl.lit(False), "a list of text")
    malformed = raw.list.eval(element.malformed).list.any().fill_null(False)
    return _Conversion(value, malformed, f"a list, each element {element.wanted}")


_LIST_FAMILIES = ("text", "lists")

_FAMILIES: Mapping[str, tuple[str, ...]] = {
    "continuous": ("text", "numbers", "booleans"),
    "integer": ("text", "numbers", "booleans"),
    "hex": ("text", "integers"),
    "string": ("text", "integers"),
    "flag": ("text", "numbers", "booleans"),
    "label": ("text", "numbers", "booleans"),
    "time": ("text", "numbers", "dates"),
}


def _is(dtype: pl.DataType, family: str) -> bool:
    if isinstance(dtype, pl.Null):
        return True
    if family == "text":
        return isinstance(dtype, pl.String | pl.Categorical | pl.Enum | pl.Binary)
    if family == "lists":
        return isinstance(dtype, pl.List | pl.Array)
    if family == "integers":
        return dtype.is_integer()
    if family == "numbers":
        return dtype.is_numeric()
    if family == "booleans":
        return isinstance(dtype, pl.Boolean)
    return isinstance(dtype, pl.Date | pl.Datetime)


def _plain(raw: pl.Expr, dtype: pl.DataType) -> tuple[pl.Expr, pl.DataType]:
    """Dictionary text and bytes as text, empty text as null."""
    if isinstance(dtype, pl.Categorical | pl.Enum | pl.Binary):
        raw, dtype = raw.cast(pl.String), pl.String()
    if isinstance(dtype, pl.String):
        return pl.when(raw != "").then(raw).otherwise(None), dtype
    return raw, dtype


def _continuous(raw: pl.Expr) -> _Conversion:
    number = raw.cast(pl.Float64, strict=False)
    narrow = number.cast(pl.Float32)
    malformed = (raw.is_not_null() & number.is_null()) | narrow.is_infinite().fill_null(False)
    value = pl.when(narrow.is_finite()).then(narrow)
    return _Conversion(value, malformed, "a finite float32 number")


def _integer(raw: pl.Expr, dtype: pl.DataType) -> _Conversion:
    wanted = "a 64-bit integer"
    if dtype.is_float() or dtype.is_decimal():
        number = raw.cast(pl.Float64)
        missing = raw.is_null() | number.is_nan()
        fits = (number == number.floor()) & (number.abs() < _INT64_BOUND)
        whole = pl.when(fits & ~missing).then(number.cast(pl.Int64, strict=False))
        return _Conversion(whole, ~missing & ~fits, wanted)
    value = raw.cast(pl.Int64, strict=False)
    refused = value.is_null() | (value == _SMALLEST_INT64)
    return _Conversion(value, raw.is_not_null() & refused, wanted)


def _hex(raw: pl.Expr, dtype: pl.DataType) -> _Conversion:
    if not isinstance(dtype, pl.String):
        return _integer(raw, dtype)
    value = raw.str.to_integer(base=16, dtype=pl.Int64, strict=False)
    signed = raw.str.starts_with("-") | raw.str.starts_with("+")
    refused = value.is_null() | signed | (raw.str.len_bytes() > _MAX_HEX_DIGITS)
    return _Conversion(
        value,
        raw.is_not_null() & refused,
        f"up to {_MAX_HEX_DIGITS} hexadecimal digits, 63 bits",
    )


def _one_or_zero(raw: pl.Expr) -> _Conversion:
    number = raw.cast(pl.Float64, strict=False)
    malformed = raw.is_not_null() & ~number.is_in([0.0, 1.0]).fill_null(False)
    return _Conversion(number.cast(pl.Int8, strict=False), malformed, "flag 0 or 1")


def _label(raw: pl.Expr, label: Label) -> _Conversion:
    number = raw.cast(pl.Float64, strict=False)
    if label.at_least is None:
        usable, is_click, wanted = number.is_in([0.0, 1.0]), number == 1.0, "label 0 or 1"
    else:
        usable, is_click, wanted = ~number.is_nan(), number >= label.at_least, "a number as label"
    usable = usable.fill_null(False)
    return _Conversion(is_click.cast(pl.Int8), ~usable, wanted)


def _time(raw: pl.Expr, dtype: pl.DataType) -> _Conversion:
    if isinstance(dtype, pl.Date | pl.Datetime):
        seconds = _seconds(raw.cast(pl.Datetime("us")))
    elif isinstance(dtype, pl.String):
        # Null where the text is of no such form; the first form that fits is taken.
        local = [raw.str.to_datetime(form, time_unit="us", strict=False) for form in _TIME_FORMATS]
        zoned = [
            raw.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False)
            for form in _ZONED_TIME_FORMATS
        ]
        date = raw.str.to_date(_DATE_FORMAT, strict=False).cast(pl.Datetime("us"))
        moments = [*local, *(moment.dt.replace_time_zone(None) for moment in zoned), date]
        seconds = pl.coalesce(raw.cast(pl.Float64, strict=False), *map(_seconds, moments))
    else:
        seconds = raw.cast(pl.Float64, strict=False)
    malformed = ~seconds.is_finite().fill_null(False)
    return _Conversion(seconds, malformed, "a number or an ISO 8601 time")


def _seconds(moment: pl.Expr) -> pl.Expr:
    return moment.dt.epoch("us").cast(pl.Float64) / 1e6
