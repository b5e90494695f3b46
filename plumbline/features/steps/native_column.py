"""A column of ids of the native encoder, which the last step of a chain adds itself to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from plumbline._native import Encoder

Tensor: TypeAlias = Literal["numbers", "integers", "texts"]

Position: TypeAlias = tuple[Tensor, int, int]
"""The position of a raw column in a request: kind of tensor, index of the tensor, column in it."""

Operation: TypeAlias = tuple[str, Sequence[float]]
"""A native operation on numbers: its name and operands."""

UNUSED = float("nan")
"""Fills up the operands of an operation, which are at least two."""


@dataclass(frozen=True, slots=True)
class NativeColumn:
    """A column of ids to add to the native encoder.

    `operations` are applied to the raw column at `position` before the last step; `output` is the
    index of the column among the columns of ids.
    """

    encoder: Encoder
    position: Position
    operations: Sequence[Operation]
    output: int
