"""Arithmetic of two columns, or of each column and a constant.

Add: the sum of two columns, or of each column and a constant.
Subtract: the first column less the second, or each column less a constant.
Multiply: the product of two columns, or of each column and a constant.
Divide: the first column by the second, or each column by a constant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from plumbline.features.operators.arithmetic import Arithmetic, Operation
from plumbline.features.steps.step import Step
from plumbline.features.steps.value_types import Element
from plumbline.nvtabular.constants import plain
from plumbline.nvtabular.expression import Expression, compiled, pair
from plumbline.nvtabular.operator_call import CompiledOperator


class _Arithmetic(Expression):
    takes = ("number", "integer")
    operation: ClassVar[Operation]
    joint: ClassVar[str]

    def __init__(self, constant: float | None = None, *, name: str | None = None) -> None:
        super().__init__()
        if constant is not None and name is not None:
            raise ValueError(
                f"{type(self).__name__}: name is for the result of two columns; with a constant "
                "each column keeps its name"
            )
        self.constant = None if constant is None else self._number("constant", constant)
        self.name = name
        self.by_zero: float | None = None

    def _number(self, parameter: str, value: Any) -> float:
        value = plain(value)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value):
            operator = type(self).__name__
            raise ValueError(f"{operator}: wanted a finite number as {parameter}, got {value!r}")
        return float(value)

    def column_mapping(self, col_selector: Any) -> dict[str, list[str]]:
        if self.constant is not None:
            return {name: [name] for name in col_selector.names}
        first, second = pair(type(self).__name__, col_selector)
        return {self.name or f"{first}_{self.joint}_{second}": [first, second]}

    def step(self, output: str, inputs: Sequence[str], taken: Sequence[Element]) -> Step:
        return Arithmetic(self.operation, self.constant, self.by_zero)


class Add(_Arithmetic):
    """The sum, in the column `name`, or `<first>_plus_<second>`; or each column plus a constant."""

    operation, joint = "add", "plus"


class Subtract(_Arithmetic):
    """The difference, in `name` or `<first>_minus_<second>`; or each column less a constant."""

    operation, joint = "subtract", "minus"


class Multiply(_Arithmetic):
    """The product, in `name` or `<first>_times_<second>`; or each column times a constant."""

    operation, joint = "multiply", "times"


class Divide(_Arithmetic):
    """The ratio, in `name` or `<first>_by_<second>`; or each column divided by a constant.

    A number divided by 0 becomes `by_zero`; it is missing by default.
    """

    operation, joint = "divide", "by"

    def __init__(
        self,
        constant: float | None = None,
        *,
        name: str | None = None,
        by_zero: float | None = None,
    ) -> None:
        super().__init__(constant, name=name)
        self.by_zero = None if by_zero is None else self._number("by_zero", by_zero)


OPERATORS = tuple(CompiledOperator(one, compiled) for one in (Add, Subtract, Multiply, Divide))
