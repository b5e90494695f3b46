"""The native encoder as a step sees it: one column of it, to which the last id step adds itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from plumbline._native import Encoder

Tensor: TypeAlias = Literal["numbers", "integers", "texts"]

Position: TypeAlias = tuple[Tensor, int, int]
"""Where a raw column is in a request: the sort of tensor, which of them, which column of it."""

Operation: TypeAlias = tuple[str, Sequence[float]]
"""A native operation on numbers: its name, and its operands."""

UNUSED = float("nan")
"""In place of an operand that an operation does not have; every one takes two or more."""


@dataclass(frozen=True, slots=True)
class NativeColumn:
    """A column of ids that the native encoder is to give.

    `operations` are those on the raw column at `position` before the last step; `output` is the
    column's index among those of ids.
    """

    encoder: Encoder
    position: Position
    operations: Sequence[Operation]
    output: int
