"""Comparisons with constants.

Compare: 1 where a value compares with a constant, 0 where it does not.
IsIn: 1 where a value is one of some constants, 0 where it is not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, get_args

from plumbline.features.operators.compare import Compare as CompareStep
from plumbline.features.operators.compare import Constant, Relation
from plumbline.features.operators.compare import IsIn as IsInStep
from plumbline.features.steps.step import Step
from plumbline.features.steps.value_types import Element
from plumbline.nvtabular.constants import plain, text_of
from plumbline.nvtabular.expression import Expression, compiled
from plumbline.nvtabular.instants import microseconds_of
from plumbline.nvtabular.operator_call import CompiledOperator

_RELATIONS: tuple[Relation, ...] = get_args(Relation)
_COMPARED: tuple[Element, ...] = ("number", "integer", "text", "time")
_MOST = 2**63 - 1


class Compare(Expression):
    """`Compare(">=", 18)`: 1.0 or 0.0 for each value; missing stays missing.

    The constant is a number, text, or an instant (a datetime or ISO 8601 text) for times.
    """

    takes = _COMPARED

    def __init__(self, relation: Relation, constant: Any) -> None:
        super().__init__()
        if relation not in _RELATIONS:
            raise ValueError(
                f"Compare: wanted a relation, one of {' '.join(_RELATIONS)}, got {relation!r}"
            )
        self.relation = relation
        self.constant = plain(constant)
        self.of_integers = _of_integers([self.constant])

    def step(self, output: str, inputs: Sequence[str], taken: Sequence[Element]) -> Step:
        return CompareStep(self.relation, _constant("Compare", self.constant, taken[0]))


class IsIn(Expression):
    """`IsIn(["a", "b"])`: 1.0 or 0.0 for each value; missing stays missing."""

    takes = _COMPARED

    def __init__(self, constants: Iterable[Any]) -> None:
        super().__init__()
        if isinstance(constants, str):
            raise ValueError(f"IsIn: wanted a list of constants, got {constants!r}")
        self.constants = tuple(map(plain, constants))
        self.of_integers = _of_integers(self.constants)

    def step(self, output: str, inputs: Sequence[str], taken: Sequence[Element]) -> Step:
        return IsInStep(tuple(_constant("IsIn", value, taken[0]) for value in self.constants))


def _of_integers(constants: Iterable[Any]) -> Element:
    """What integers of a frame are: times, if they are compared with instants."""
    return "time" if any(isinstance(one, (str, date)) for one in constants) else "integer"


def _constant(operator: str, value: Any, element: Element) -> Constant:
    """The constant as the step compares it; raises ValueError if its type does not fit."""
    if element == "text":
        return text_of(operator, "text to compare text with", value)
    if element == "time":
        return microseconds_of(operator, value)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int) and element == "integer":
        if abs(value) <= _MOST:
            return value
    elif isinstance(value, (int, float)) and math.isfinite(value):
        return float(value)
    raise ValueError(f"{operator}: wanted a finite number of 64 bits, got {value!r}")


OPERATORS = tuple(CompiledOperator(one, compiled) for one in (Compare, IsIn))
