"""Numbers, integers and text as one another."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.values import NULL_INT64, Text
from plumbline.features.steps.step import NumberStep, ValueStep, as_numbers
from plumbline.features.steps.text_step import TextStep

Rounding: TypeAlias = Literal["floor", "nearest"]

_END = 2.0**63


@dataclass(frozen=True, slots=True)
class ToNumber(NumberStep):
    """An integer as float64."""

    op = "to_number"
    is_exact = True

    def apply(self, values_B: NDArray[np.float64]) -> NDArray[np.float64]:
        return values_B


@dataclass(frozen=True, slots=True)
class ToInteger(ValueStep):
    """A number rounded down, or to the nearest integer (the even one of two).

    A number that is missing, infinite, or beyond 64 bits is missing.

    >>> ToInteger("floor").apply(np.array([-0.5, 2.0, np.inf])).tolist()
    [-1, 2, -9223372036854775808]
    """

    op = "to_integer"
    takes = "numbers"
    gives = "integer"
    is_exact = True
    rounding: Rounding

    def apply(self, values_B: NDArray[Any]) -> NDArray[np.int64]:
        numbers_B = as_numbers(values_B)
        whole_B = np.floor(numbers_B) if self.rounding == "floor" else np.rint(numbers_B)
        fits_B = (whole_B > -_END) & (whole_B < _END)
        integers_B = np.where(fits_B, whole_B, 0.0).astype(np.int64)
        integers_B[~fits_B] = NULL_INT64
        return integers_B


@dataclass(frozen=True, slots=True)
class ParseNumber(TextStep):
    """Text as a column of kind `continuous` reads it; other text is missing.

    >>> ParseNumber().of("-1.5"), ParseNumber().of("x")
    (-1.5, None)
    """

    op = "parse_number"

    def of(self, text: str) -> float | None:
        number = _readers()[0](text)
        return number if isinstance(number, float) and math.isfinite(number) else None


@dataclass(frozen=True, slots=True)
class ParseInteger(TextStep):
    """Text as a column of kind `integer` reads it; other text is missing."""

    op = "parse_integer"
    gives = "integer"

    def of(self, text: str) -> int | None:
        code = _readers()[1](text)
        return code if isinstance(code, int) else None


@cache
def _readers() -> tuple[Callable[[str], Any], Callable[[str], Any]]:
    """What text means in the kinds `continuous` and `integer`, without settings of a log."""
    # Imported here because most plans do not need it.
    from plumbline.columns.value_rules import text_values
    from plumbline.columns.value_rules.rules import ValueRules

    rules = ValueRules()
    return partial(text_values.real, rules=rules), partial(text_values.whole, rules=rules)


@dataclass(frozen=True, slots=True)
class ToText(ValueStep):
    """The digits of an integer.

    >>> ToText().apply(np.array([-7, NULL_INT64])).to_objects()
    array([b'-7', b''], dtype=object)
    """

    op = "to_text"
    takes = "integers"
    gives = "text"
    is_exact = True

    def apply(self, values_B: NDArray[np.int64]) -> Text:
        return Text.from_objects(
            [b"" if value == NULL_INT64 else b"%d" % value for value in values_B.tolist()]
        )
