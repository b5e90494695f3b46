"""1 where a value compares with a constant, 0 where it does not."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from plumbline.base.errors import PlanError
from plumbline.columns.values import Text, Values, is_missing
from plumbline.features.lookup.tables import Tables
from plumbline.features.steps.native_nodes import NativeNode, NativeNodes
from plumbline.features.steps.step import ValueStep, as_numbers
from plumbline.features.steps.text_step import FEW_ROWS
from plumbline.features.steps.value_types import ValueType

Relation: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">="]
Constant: TypeAlias = float | int | str

_RELATIONS: Mapping[str, tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]] = {
    "==": (np.equal, pc.equal, operator.eq),
    "!=": (np.not_equal, pc.not_equal, operator.ne),
    "<": (np.less, pc.less, operator.lt),
    "<=": (np.less_equal, pc.less_equal, operator.le),
    ">": (np.greater, pc.greater, operator.gt),
    ">=": (np.greater_equal, pc.greater_equal, operator.ge),
}
"""The relation of arrays, of Arrow arrays, and of bytes."""


@dataclass(frozen=True, slots=True)
class Compare(ValueStep):
    """1.0 or 0.0; missing stays missing.

    Integers and times are compared exactly if the constant is an int, otherwise as float64. Text is
    compared by its UTF-8 bytes, which is the order of its code points.

    >>> Compare(">=", 2.0).apply(np.array([1.0, 2.0, np.nan]))
    array([ 0.,  1., nan])
    """

    op = "compare"
    is_exact = True
    relation: Relation
    constant: Constant

    def type_of(self, taken: Sequence[ValueType], output: str) -> ValueType:
        return _fitting(ValueStep.type_of(self, taken, output), taken, output, (self.constant,))

    def apply(self, values_B: Values) -> NDArray[np.float64]:
        of_arrays, of_text, of_values = _RELATIONS[self.relation]
        if isinstance(values_B, Text):
            constant = str(self.constant).encode()
            if len(values_B) <= FEW_ROWS:
                holds_B = np.array(
                    [of_values(v, constant) for v in values_B.to_objects()], np.bool_
                )
            else:
                scalar = pa.scalar(constant, pa.large_binary())
                holds_B = _mask(of_text(values_B.to_arrow_bytes(), scalar))
        else:
            holds_B = of_arrays(_comparable(values_B, self.constant), self.constant)
        return _flags(holds_B, values_B)

    def native(
        self, nodes: NativeNodes, sources: Sequence[NativeNode], tables: Tables
    ) -> NativeNode | None:
        (source,) = sources
        if source.is_text or isinstance(self.constant, str):
            return None
        return nodes.compare(self.relation, self.constant, source)


@dataclass(frozen=True, slots=True)
class IsIn(ValueStep):
    """1.0 where the value is one of the constants, else 0.0; missing stays missing.

    >>> IsIn((1, 2)).apply(np.array([1, 3]))
    array([1., 0.])
    """

    op = "is_in"
    is_exact = True
    constants: tuple[Constant, ...]

    def type_of(self, taken: Sequence[ValueType], output: str) -> ValueType:
        return _fitting(ValueStep.type_of(self, taken, output), taken, output, self.constants)

    def apply(self, values_B: Values) -> NDArray[np.float64]:
        if isinstance(values_B, Text):
            words = [str(constant).encode() for constant in self.constants]
            if len(values_B) <= FEW_ROWS:
                holds_B = np.array([value in words for value in values_B.to_objects()], np.bool_)
            else:
                array = values_B.to_arrow_bytes()
                holds_B = _mask(pc.is_in(array, pa.array(words, pa.large_binary())))
        else:
            numbers_B = _comparable(values_B, *self.constants)
            constants = np.array(self.constants, numbers_B.dtype)
            if len(values_B) <= FEW_ROWS:
                holds_B = np.equal(numbers_B[:, np.newaxis], constants).any(axis=1)
            else:
                holds_B = np.isin(numbers_B, constants)
        return _flags(holds_B, values_B)


def _fitting(
    result: ValueType, taken: Sequence[ValueType], output: str, constants: Sequence[Constant]
) -> ValueType:
    """The result's type, for constants that the values can be compared with."""
    if taken[0].element != "text" and any(isinstance(constant, str) for constant in constants):
        raise PlanError(f"Column {output!r}: {taken[0]} is compared with a number, got a text.")
    return result


def _comparable(values_B: Values, *constants: Constant) -> NDArray[Any]:
    """Integers if all constants are, otherwise float64."""
    are_integers = all(isinstance(constant, int) for constant in constants)
    if are_integers and isinstance(values_B, np.ndarray) and values_B.dtype.kind == "i":
        return values_B
    return as_numbers(values_B)


def _mask(flags: pa.Array) -> NDArray[np.bool_]:
    return np.asarray(flags.cast(pa.uint8())).astype(np.bool_)


def _flags(holds_B: NDArray[np.bool_], values_B: Values) -> NDArray[np.float64]:
    flags_B = holds_B.astype(np.float64)
    flags_B[is_missing(values_B)] = np.nan
    return flags_B
