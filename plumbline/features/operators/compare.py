"""1 where a value compares with a constant, 0 where it does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from plumbline.columns.values import Text, Values, is_missing
from plumbline.features.steps.step import ValueStep, as_numbers

Relation: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">="]
Constant: TypeAlias = float | int | str

_RELATIONS: Mapping[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "==": (np.equal, pc.equal),
    "!=": (np.not_equal, pc.not_equal),
    "<": (np.less, pc.less),
    "<=": (np.less_equal, pc.less_equal),
    ">": (np.greater, pc.greater),
    ">=": (np.greater_equal, pc.greater_equal),
}


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

    def apply(self, values_B: Values) -> NDArray[np.float64]:
        of_arrays, of_text = _RELATIONS[self.relation]
        if isinstance(values_B, Text):
            constant = pa.scalar(str(self.constant).encode(), pa.large_binary())
            holds_B = _mask(of_text(_bytes(values_B), constant))
        else:
            holds_B = of_arrays(_comparable(values_B, self.constant), self.constant)
        return _flags(holds_B, values_B)


@dataclass(frozen=True, slots=True)
class IsIn(ValueStep):
    """1.0 where the value is one of the constants, else 0.0; missing stays missing.

    >>> IsIn((1, 2)).apply(np.array([1, 3]))
    array([1., 0.])
    """

    op = "is_in"
    is_exact = True
    constants: tuple[Constant, ...]

    def apply(self, values_B: Values) -> NDArray[np.float64]:
        if isinstance(values_B, Text):
            words = [str(constant).encode() for constant in self.constants]
            holds_B = _mask(pc.is_in(_bytes(values_B), pa.array(words, pa.large_binary())))
        else:
            numbers_B = _comparable(values_B, *self.constants)
            holds_B = np.isin(numbers_B, np.array(self.constants, numbers_B.dtype))
        return _flags(holds_B, values_B)


def _comparable(values_B: Values, *constants: Constant) -> NDArray[Any]:
    """Integers if all constants are, otherwise float64."""
    are_integers = all(isinstance(constant, int) for constant in constants)
    if are_integers and isinstance(values_B, np.ndarray) and values_B.dtype.kind == "i":
        return values_B
    return as_numbers(values_B)


def _bytes(text: Text) -> pa.Array:
    """Not as strings, since a request may have bytes that are not UTF-8."""
    buffers = [None, pa.py_buffer(text.offsets), pa.py_buffer(text.data)]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(text), buffers)


def _mask(flags: pa.Array) -> NDArray[np.bool_]:
    return np.asarray(flags.cast(pa.uint8())).astype(np.bool_)


def _flags(holds_B: NDArray[np.bool_], values_B: Values) -> NDArray[np.float64]:
    flags_B = holds_B.astype(np.float64)
    flags_B[is_missing(values_B)] = np.nan
    return flags_B
