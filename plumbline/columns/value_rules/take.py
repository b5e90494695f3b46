"""A column of any type and kind becomes values: what a raw value means is defined here alone."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import cast

import numpy as np
import polars as pl
import pyarrow as pa

from plumbline.columns.exact import is_pattern
from plumbline.columns.kinds import ELEMENT_KINDS, ElementKind, Kind
from plumbline.columns.value_rules import kinds, numbers, strings, times, words
from plumbline.columns.value_rules.kinds import Family
from plumbline.columns.value_rules.rules import LabelRule, ValueRules
from plumbline.columns.value_rules.taken import ColumnRefused, Taken
from plumbline.columns.values import offsets_of


def take(column: pl.Series, kind: Kind, rules: ValueRules, label: LabelRule | None = None) -> Taken:
    """The values of a column under its name.

    `label` is needed for a column of kind label. In a list column an empty list is missing.

    Raises
    ------
    ColumnRefused
        A type that the kind cannot take; or integers that contradict each other.
    """
    if is_pattern(column.name):
        return _take_pattern(column, kind, rules, label)
    _check_type(column, column.dtype, kind, rules)
    if kind in ELEMENT_KINDS:
        return _lists(column, ELEMENT_KINDS[kind], rules)
    return _single(column, kind, rules, label)


def _take_pattern(
    column: pl.Series, kind: Kind, rules: ValueRules, label: LabelRule | None
) -> Taken:
    """A column whose name Polars takes for a pattern is taken under another one."""
    name = column.name
    other = f"column {name}"
    formats = {other if known == name else known: f for known, f in rules.time_formats.items()}
    try:
        taken = take(column.alias(other), kind, replace(rules, time_formats=formats), label)
    except ColumnRefused as error:
        raise ColumnRefused(str(error).replace(repr(other), repr(name))) from None

    def hint(found: object) -> str:
        return taken.hint(found).replace(repr(other), repr(name))

    return replace(taken, value=taken.value.alias(name), hint=hint)


def _single(column: pl.Series, kind: Kind, rules: ValueRules, label: LabelRule | None) -> Taken:
    if column.dtype == pl.Null:
        column = column.cast(pl.String)
    raw, spoilt = strings.as_text(column)
    if raw.dtype == pl.String:
        raw = strings.cleaned(raw, rules, trim=rules.trim or kind != "string")
    taken = _of_kind(raw, kind, rules, label)
    if not spoilt.any():
        return taken
    hint = _Utf8Hint(taken.hint)
    return replace(taken, malformed=taken.malformed | spoilt, hint=hint)


class _Utf8Hint:
    def __init__(self, others: object) -> None:
        self._others = others

    def __call__(self, found: object) -> str:
        if isinstance(found, bytes) and strings.decoded(found) is None:
            return ", which is no UTF-8"
        return str(self._others(found)) if callable(self._others) else ""


def _of_kind(raw: pl.Series, kind: Kind, rules: ValueRules, label: LabelRule | None) -> Taken:
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
    if kind == "time":
        return times.time(raw, rules)
    if kind == "label" and label is not None:
        return words.label(raw, rules, label)
    if kind == "string":
        return strings.string(raw, rules)
    raise ValueError(f"a column of kind {kind!r} has no values")


def _lists(column: pl.Series, element: ElementKind, rules: ValueRules) -> Taken:
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
    taken = _single(elements.alias(column.name), element, rules, None)
    offsets = offsets_of(lengths)
    values = taken.value.to_arrow()
    lists = pl.Series(column.name, pa.LargeListArray.from_arrays(offsets, values))
    malformed = spoilt
    if taken.malformed.any():
        rows = np.searchsorted(offsets, np.flatnonzero(taken.malformed), side="right") - 1
        malformed = malformed.copy()
        malformed[rows] = True
    wanted = f"a list, each element {taken.wanted}"
    return Taken(lists, malformed, wanted, advice=partial(_element_advice, taken, rules))


def _element_advice(elements: Taken, rules: ValueRules, found: object) -> str:
    """The setting that would take the first refused element, or the kind of list."""
    if isinstance(found, str) and rules.list_separator is not None:
        found = found.split(rules.list_separator)
    if not isinstance(found, list | pl.Series):
        return ""
    first = next((advice for element in found if (advice := elements.advice(element))), "")
    return first if first.startswith("log.") or not first else "kind string_list takes it"


def _check_type(column: pl.Series, dtype: pl.DataType, kind: Kind, rules: ValueRules) -> None:
    families = kinds.FORMS[kind].families
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
    """Of which family a column's type is; None for a type that no kind takes, and for nulls."""
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum | pl.Binary):
        return "text"
    if isinstance(dtype, pl.Boolean):
        return "booleans"
    if dtype.is_numeric():
        return "numbers"
    if isinstance(dtype, pl.Date | pl.Datetime):
        return "dates"
    return "lists" if isinstance(dtype, pl.List | pl.Array) else None
