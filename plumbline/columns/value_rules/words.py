"""Kinds with two values: boolean, flag and label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.columns.value_rules import advice, kinds, text_values
from plumbline.columns.value_rules.converted import Converted, by_value, mask_of
from plumbline.columns.value_rules.numbers import reals
from plumbline.columns.value_rules.rules import LabelRule, ValueRules


def boolean(column: pl.Series, rules: ValueRules) -> Converted:
    value, malformed = _ones_and_zeros(column, rules, text_values.boolean)
    return Converted(
        value.cast(pl.Int64), malformed, kinds.ACCEPTED["boolean"].wanted, advice=advice.of_boolean
    )


def flag(column: pl.Series, rules: ValueRules) -> Converted:
    """0 or 1 in int8; null if missing, which counts as 0 in a list of flags."""
    value, malformed = _ones_and_zeros(column, rules, text_values.boolean)
    return Converted(value, malformed, kinds.ACCEPTED["flag"].wanted)


def label(column: pl.Series, rules: ValueRules, setting: LabelRule) -> Converted:
    """0 or 1 in int8; a missing label is malformed."""
    if setting.at_least is not None:
        number, malformed = reals(column, rules)
        malformed |= mask_of(number.is_null())
        value = (number >= setting.at_least).cast(pl.Int8)
        return Converted(value, malformed, "a number as label", _at_least_hint)
    if setting.click:
        value = _clicks(column, rules, setting.click)
        return Converted(value, mask_of(value.is_null()), "a word or a number as label")
    value, malformed = _ones_and_zeros(column, rules, text_values.label)
    malformed |= mask_of(value.is_null())
    return Converted(value, malformed, kinds.ACCEPTED["label"].wanted, _label_hint)


def _ones_and_zeros(
    column: pl.Series, rules: ValueRules, meaning: Callable[[str, ValueRules], Any]
) -> tuple[pl.Series, NDArray[np.bool_]]:
    """0 or 1 in int8, null if missing or malformed; and the mask of the malformed."""
    if column.dtype == pl.String:
        return by_value(column, lambda text: meaning(text, rules), pa.int8())
    number, malformed = reals(column, rules)
    usable = number.is_in([0.0, 1.0]).fill_null(False)
    malformed |= mask_of(number.is_not_null() & ~usable)
    return number.set(~usable, None).cast(pl.Int8), malformed


def _clicks(column: pl.Series, rules: ValueRules, words: tuple[str, ...]) -> pl.Series:
    """1 for clicks and 0 for other values in int8, null if missing."""
    if column.dtype == pl.String:
        return by_value(column, text_values.clicks(words, rules), pa.int8())[0]
    numbers = text_values.click_numbers(words)
    if column.dtype == pl.Boolean:
        known = {text_values.boolean(word, ValueRules()) for word in words}
        numbers = frozenset(float(word) for word in known if word in (0, 1))
    number, _ = reals(column, rules)
    value: pl.Series = number.is_in(list(numbers)).cast(pl.Int8).set(number.is_null(), None)
    return value


def _label_hint(found: object) -> str:
    if found is None or (isinstance(found, str) and not found.strip()):
        return ""
    if isinstance(found, str) and text_values.real(found, ValueRules()) is text_values.REFUSED:
        return "; give label.click the words that are clicks"
    return "; give label.at_least the smallest number that is a click, or label.click the clicks"


def _at_least_hint(found: object) -> str:
    is_word = isinstance(found, str) and found.strip() != ""
    return "; label.click takes the words that are clicks" if is_word else ""
