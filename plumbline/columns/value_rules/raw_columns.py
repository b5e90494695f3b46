"""Raw columns of a request, of any type, as the values of the wire.

`convert_column` defines what values mean, and needs Polars. Columns in common formats are read
faster without it, with the same result. Legend: B rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from plumbline.base.errors import PlanError
from plumbline.columns.hexadecimal import plain_hexadecimal
from plumbline.columns.kinds import ELEMENT_KINDS, FeatureKind
from plumbline.columns.typed import ARROW_TYPES, values_of
from plumbline.columns.value_rules import text_values
from plumbline.columns.value_rules.epoch import MICROSECONDS, units_per_second
from plumbline.columns.value_rules.rules import ValueRules
from plumbline.columns.value_rules.text_values import BLANKS, REFUSED
from plumbline.columns.values import NULL_INT64, Lists, Text, Values, offsets_of

_MOST = 2**63 - 1
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_EXACT_TIMES = 2**51
_FEW_ROWS = 128
"""Up to this number of rows, reading texts one by one is faster than whole columns."""

_MEANINGS: dict[str, Callable[[str, ValueRules], Any]] = {
    "continuous": text_values.real,
    "integer": text_values.whole,
    "boolean": text_values.boolean,
    "hex": text_values.hexadecimal,
    "string": text_values.text,
}


def values_of_raw(
    name: str, column: pa.ChunkedArray, kind: FeatureKind, rules: ValueRules, is_typed: bool = False
) -> Values:
    """The values of a column.

    If `is_typed`, a column of its kind's own type is not checked.

    Raises
    ------
    PlanError
        The kind does not accept the type or a value; the first such value is reported.
    """
    if is_typed and column.type == ARROW_TYPES[kind] and column.num_chunks:
        return values_of(column)
    if kind == "time":
        values: Values | None = _times(name, column, rules)
    else:
        values = plain(column, kind, rules)
    return _with_polars(name, column, kind, rules) if values is None else values


def _with_polars(
    name: str, column: pa.ChunkedArray, kind: FeatureKind, rules: ValueRules
) -> Values:
    import polars as pl  # most requests do not need it

    from plumbline.columns.value_rules.arrow_types import TypeRefused, simple
    from plumbline.columns.value_rules.convert import convert_column
    from plumbline.columns.value_rules.converted import ColumnRefused, raw_value

    try:
        raw = pl.Series(name, simple(name, column))
        converted = convert_column(raw, kind, rules)
    except (TypeRefused, ColumnRefused) as error:
        raise PlanError(f"{str(error)[0].upper()}{str(error)[1:]}.") from None
    if converted.malformed.any():
        row = int(np.argmax(converted.malformed))
        found = raw_value(raw, row)
        if rules.trim and isinstance(found, str):
            found = found.strip(BLANKS)
        advice = converted.advice(found)
        reason = converted.reason(found, f" in row {row}") + (f"; {advice}" if advice else "")
        raise PlanError(f"Column {name!r}: {reason}.")
    return values_of(converted.value.to_arrow())


def plain(column: pa.ChunkedArray, kind: FeatureKind, rules: ValueRules) -> Values | None:
    """The values of a column; None if its type or a value is not in a common format.

    A column of kind time depends on its name too, so it is not read here.

    NumPy warns about numbers that are infinite in float32, unless the caller turns that off.
    """
    if kind in ELEMENT_KINDS:
        return _lists(column, ELEMENT_KINDS[kind], rules)
    if kind == "time":
        return None
    type_ = column.type
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return _text(column, kind, rules)
    if kind == "continuous":
        return _floats(column, rules)
    if kind in ("integer", "hex", "boolean"):
        return _integers(column, kind, rules)
    if pa.types.is_null(type_):
        return Text(np.zeros(len(column) + 1, np.int64), np.empty(0, np.uint8))
    return None


def _floats(column: pa.ChunkedArray, rules: ValueRules) -> NDArray[np.float32] | None:
    type_ = column.type
    is_number = pa.types.is_floating(type_) and not pa.types.is_float16(type_)
    if not (is_number or pa.types.is_integer(type_) or pa.types.is_null(type_)):
        return None
    if pa.types.is_float32(type_) and not rules.missing_numbers:
        narrow = np.asarray(_one_array(column).to_numpy(zero_copy_only=False), np.float32)
        return None if np.isinf(narrow).any() else narrow
    wide = np.asarray(_filled(column.cast(pa.float64(), safe=False), float("nan")), np.float64)
    if rules.missing_numbers:
        wide = np.where(np.isin(wide, rules.missing_numbers), np.nan, wide)
    narrow = wide.astype(np.float32)
    return None if np.isinf(narrow).any() else narrow


def _integers(column: pa.ChunkedArray, kind: str, rules: ValueRules) -> NDArray[np.int64] | None:
    type_ = column.type
    if pa.types.is_boolean(type_) and kind != "hex":
        return np.asarray(_filled(column.cast(pa.int64()), NULL_INT64), np.int64)
    fits = pa.types.is_integer(type_) and not pa.types.is_uint64(type_)
    if not (fits or pa.types.is_null(type_)):
        return None
    array = _one_array(column).cast(pa.int64())
    values = np.asarray(_filled(array, NULL_INT64).to_numpy(), np.int64)
    nulls = column.null_count
    words = rules.missing_hexadecimals if kind == "hex" else rules.missing_integers
    if words and not pa.types.is_null(type_):
        small = [word for word in words if abs(word) <= _MOST]
        missing = np.isin(values, np.array(small, np.int64)) & (values != NULL_INT64)
        nulls += np.count_nonzero(missing)
        values = np.where(missing, NULL_INT64, values)
    if np.count_nonzero(np.equal(values, NULL_INT64)) != nulls:
        return None
    if kind == "boolean" and not np.isin(values, (0, 1, NULL_INT64)).all():
        return None
    return values


def _text(column: pa.ChunkedArray, kind: FeatureKind, rules: ValueRules) -> Values | None:
    if kind == "string" and not (rules.missing or rules.trim):
        return Text.from_arrow(column) if _is_utf8(column) else None
    if len(column) > _FEW_ROWS:
        if kind == "hex" and not rules.missing:
            return plain_hexadecimal(column)
        return None
    meaning = _MEANINGS[kind]
    try:
        values = [None if text is None else meaning(text, rules) for text in column.to_pylist()]
    except UnicodeDecodeError:
        return None
    if REFUSED in values:
        return None
    if kind == "string":
        return Text.from_objects([(value or "").encode() for value in values])
    if kind == "continuous":
        return _narrow(values)
    codes = [NULL_INT64 if value is None else value for value in values]
    if kind == "integer" and any(value is not None and value < 0 for value in values):
        return None  # a negative number, or one from 2⁶³ on: convert_column refuses a mix of both
    return np.array(codes, np.int64)


def _narrow(values: list[float | None]) -> NDArray[np.float32] | None:
    wide = np.array([np.nan if value is None else value for value in values], np.float64)
    narrow = wide.astype(np.float32)
    return None if np.isinf(narrow).any() else narrow


def _lists(column: pa.ChunkedArray, kind: FeatureKind, rules: ValueRules) -> Lists | None:
    type_ = column.type
    if pa.types.is_null(type_):
        elements, offsets = pa.chunked_array([pa.nulls(0)]), np.zeros(len(column) + 1, np.int64)
    elif (
        pa.types.is_list(type_)
        or pa.types.is_large_list(type_)
        or pa.types.is_fixed_size_list(type_)
    ):
        lengths = pc.fill_null(pc.list_value_length(column), 0)
        elements, offsets = pc.list_flatten(column), offsets_of(np.asarray(lengths, np.int64))
    else:
        return None
    values = plain(elements, kind, rules)
    return None if values is None else Lists(values, offsets)  # type: ignore[arg-type]


def _times(name: str, column: pa.ChunkedArray, rules: ValueRules) -> NDArray[np.int64] | None:
    """Dates and epoch numbers as microseconds; None for others, and for times after 2041.

    Until then float64 seconds, from which `times.feature` computes them, are exact.
    """
    type_ = column.type
    if pa.types.is_timestamp(type_):
        units = np.asarray(_filled(column.cast(pa.int64()), NULL_INT64), np.int64)
        a_second = _PER_SECOND[type_.unit]
        times = units // 1000 if type_.unit == "ns" else units * (MICROSECONDS // a_second)
    elif pa.types.is_integer(type_) and not (name in rules.time_formats or rules.missing):
        units = np.asarray(_filled(column.cast(pa.int64(), safe=False), NULL_INT64), np.int64)
        per_second = units_per_second(units.astype(np.float64))
        times = np.rint(units / per_second * MICROSECONDS).astype(np.int64)
    else:
        return None
    missing = np.equal(units, NULL_INT64)
    if np.count_nonzero(missing) != column.null_count:
        return None
    times = np.where(missing, NULL_INT64, times)
    return times if (np.abs(times[~missing]) < _EXACT_TIMES).all() else None


def _is_utf8(column: pa.ChunkedArray) -> bool:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    """The column without its wrapping, which costs as much as the rest of a small column."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _filled(column: pa.Array | pa.ChunkedArray, value: float) -> Any:
    """Skip `fill_null` without nulls: on one row it takes as long as everything else here."""
    return pc.fill_null(column, value) if column.null_count else column
