"""Sum, difference, product and ratio of two columns, or of a column and a constant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.values import Values
from plumbline.features.lookup.tables import Tables
from plumbline.features.steps.native_nodes import UNUSED, NativeNode, NativeNodes
from plumbline.features.steps.step import ONE, TWO, ValueStep, as_numbers

Operation: TypeAlias = Literal["add", "subtract", "multiply", "divide"]

_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
}


@dataclass(frozen=True, slots=True)
class Arithmetic(ValueStep):
    """The operation on both columns, or on the only column and `constant`; missing stays missing.

    A number that is divided by 0 becomes `by_zero`; None makes it missing.

    >>> Arithmetic("divide", None, None).apply(np.array([1.0, 1.0]), np.array([4.0, 0.0]))
    array([0.25,  nan])
    """

    op = "arithmetic"
    takes = "numbers"
    is_exact = True
    operation: Operation
    constant: float | None
    by_zero: float | None

    @property
    def arity(self) -> range:
        return TWO if self.constant is None else ONE

    def apply(self, *values_B: Values) -> NDArray[np.float64]:
        left, *others = (as_numbers(values) for values in values_B)
        right = others[0] if others else np.float64(self.constant or 0.0)
        with np.errstate(all="ignore"):
            result_B = np.asarray(_FUNCTIONS[self.operation](left, right))
        if self.operation == "divide":
            by_zero = np.nan if self.by_zero is None else self.by_zero
            result_B[np.equal(right, 0.0) & ~np.isnan(left)] = by_zero
        return result_B

    def native(
        self, nodes: NativeNodes, sources: Sequence[NativeNode], tables: Tables
    ) -> NativeNode:
        by_zero = UNUSED if self.by_zero is None else self.by_zero
        return nodes.arithmetic(self.operation, self.constant or 0.0, by_zero, sources)

    def of_missing(self, number: float | None) -> float | None:
        if number is None or self.constant is None:
            return ValueStep.of_missing(self, number)
        return float(self.apply(np.array([number]))[0])
