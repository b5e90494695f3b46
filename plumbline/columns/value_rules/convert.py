"""Converting a column of any type to the values of its kind: the definition of what they mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeAlias, cast

import numpy as np
import polars as pl
import pyarrow as pa

from plumbline.columns.exact import is_pattern
from plumbline.columns.kinds import ELEMENT_KINDS, ElementKind, Kind
from plumbline.columns.value_rules import kinds, numbers, strings, times, words
from plumbline.columns.value_rules.converted import ColumnRefused, Converted
from plumbline.columns.value_rules.kinds import Family
from plumbline.columns.value_rules.rules import LabelRule, ValueRules
from plumbline.columns.values import offsets_of

_Times: TypeAlias = Callable[[pl.Series, ValueRules], Converted]
"""Converts a column of kind time."""


def convert_column(
    column: pl.Series, kind: Kind, rules: ValueRules, label: LabelRule | None = None
) -> Converted:
    """Convert a column to the values of its kind.

    `label` is needed for a column of kind label. In a list column an empty list is missing. A time
    is in microseconds since 1970.

    Raises
    ------
    ColumnRefused
        The kind does not accept the column's type, or integers have overlapping codes.
    """
    return _convert(column, kind, rules, label, times.feature)


def convert_order(column: pl.Series, rules: ValueRules) -> Converted:
    """The times that order the rows: float64 seconds since 1970; a missing time is malformed.

    Raises
    ------
    ColumnRefused
        Kind time does not accept the column's type.
    """
    return _convert(column, "time", rules, None, times.order)


def _convert(
    column: pl.Series, kind: Kind, rules: ValueRules, label: LabelRule | None, time: _Times
) -> Converted:
    if is_pattern(column.name):
        return _convert_pattern(column, kind, rules, label, time)
    _check_type(column, column.dtype, kind, rules)
    if kind in ELEMENT_KINDS:
        return _lists(column, ELEMENT_KINDS[kind], rules)
    return _single(column, kind, rules, label, time)


def _convert_pattern(
    column: pl.Series, kind: Kind, rules: ValueRules, label: LabelRule | None, time: _Times
) -> Converted:
    """Convert under another name a column whose name Polars takes for a pattern."""
    name = column.name
    other = f"column {name}"
    formats = {other if known == name else known: f for known, f in rules.time_formats.items()}
    try:
        converted = _convert(
            column.alias(other), kind, replace(rules, time_formats=formats), label, time
        )
    except ColumnRefused as error:
        raise ColumnRefused(str(error).replace(repr(other), repr(name))) from None

    def hint(found: object) -> str:
        return converted.hint(found).replace(repr(other), repr(name))

    return replace(converted, value=converted.value.alias(name), hint=hint)


def _single(
    column: pl.Series,
    kind: Kind,
    rules: ValueRules,
    label: LabelRule | None = None,
    time: _Times = times.feature,
) -> Converted:
    if column.dtype == pl.Null:
        column = column.cast(pl.String)
    raw, spoilt = strings.as_text(column)
    if raw.dtype == pl.String:
        raw = strings.cleaned(raw, rules, trim=rules.trim or kind != "string")
    converted = time(raw, rules) if kind == "time" else _of_kind(raw, kind, rules, label)
    if not spoilt.any():
        return converted
    hint = _Utf8Hint(converted.hint)
    return replace(converted, malformed=converted.malformed | spoilt, hint=hint)


class _Utf8Hint:
    def __init__(self, others: object) -> None:
        self._others = others

    def __call__(self, found: object) -> str:
        if isinstance(found, bytes) and strings.decoded(found) is None:
            return ", which is no UTF-8"
        return str(self._others(found)) if callable(self._others) else ""


def _of_kind(raw: pl.Series, kind: Kind, rules: ValueRules, label: LabelRule | None) -> Converted:
    if kind == "continuous":
        return numbers.continuous(raw, rules)
    if kind == "integer":
        return numbers.integer(raw, rules)
    if kind == "hex":
        return numbers.hexadecimal(raw, rules)
    if kind == "boolean":
        return words.boolean(raw, rules)
    if kind == "flag":
        return words.flag(raw, rules)
    if kind == "label" and label is not None:
        return words.label(raw, rules, label)
    if kind == "string":
        return strings.string(raw, rules)
    raise ValueError(f"a column of kind {kind!r} has no values")


def _lists(column: pl.Series, element: ElementKind, rules: ValueRules) -> Converted:
    if column.dtype == pl.Null:
        column = column.cast(pl.List(pl.Null))
    spoilt = np.zeros(len(column), np.bool_)
    if not isinstance(column.dtype, pl.List | pl.Array):
        text, spoilt = strings.as_text(column)
        text = strings.cleaned(text, rules, trim=rules.trim or element != "string")
        column = text.str.split(rules.list_separator or "")
    if isinstance(column.dtype, pl.Array):
        column = column.arr.to_list()
    lengths = column.list.len().fill_null(0).cast(pl.Int64).to_numpy()
    elements = column.filter(pl.Series(lengths > 0)).explode()
    converted = _single(elements.alias(column.name), element, rules)
    offsets = offsets_of(lengths)
    values = converted.value.to_arrow()
    lists = pl.Series(column.name, pa.LargeListArray.from_arrays(offsets, values))
    malformed = spoilt
    if converted.malformed.any():
        rows = np.searchsorted(offsets, np.flatnonzero(converted.malformed), side="right") - 1
        malformed = malformed.copy()
        malformed[rows] = True
    wanted = f"a list, each element {converted.wanted}"
    return Converted(lists, malformed, wanted, advice=partial(_element_advice, converted, rules))


def _element_advice(elements: Converted, rules: ValueRules, found: object) -> str:
    """Which setting or list kind would accept the first refused element."""
    if isinstance(found, str) and rules.list_separator is not None:
        found = found.split(rules.list_separator)
    if not isinstance(found, list | pl.Series):
        return ""
    first = next((advice for element in found if (advice := elements.advice(element))), "")
    return first if first.startswith("log.") or not first else "kind string_list takes it"


def _check_type(column: pl.Series, dtype: pl.DataType, kind: Kind, rules: ValueRules) -> None:
    families = kinds.ACCEPTED[kind].families
    family = family_of(dtype)
    if kind in ELEMENT_KINDS:
        if isinstance(dtype, pl.List | pl.Array):
            _check_type(column, cast(pl.DataType, dtype.inner), ELEMENT_KINDS[kind], rules)
            return
        if family == "text" and rules.list_separator is not None:
            return
    if family is None and dtype == pl.Null:
        return
    if family in families:
        return
    advice = kinds.advice(family, isinstance(dtype, pl.List | pl.Array))
    if kind in ELEMENT_KINDS and family == "text":
        advice = "name list_separator, the character between a list's elements"
    raise ColumnRefused(
        f"column {column.name!r} is {dtype}, wanted {' or '.join(families)} for kind {kind!r}; "
        f"{advice}"
    )


def family_of(dtype: pl.DataType) -> Family | None:
    """The family of a column's type; None for nulls, and for a type that no kind accepts."""
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum | pl.Binary):
        return "text"
    if isinstance(dtype, pl.Boolean):
        return "booleans"
    if dtype.is_numeric():
        return "numbers"
    if isinstance(dtype, pl.Date | pl.Datetime):
        return "dates"
    return "lists" if isinstance(dtype, pl.List | pl.Array) else None
