"""The number of elements of each list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline.base.errors import PlanError
from plumbline.columns.values import Lists
from plumbline.features.lookup.tables import Tables
from plumbline.features.steps.step import Apply, Step
from plumbline.features.steps.value_types import ValueType


@dataclass(frozen=True, slots=True)
class ListLength(Step):
    """A missing list is an empty list: 0.

    >>> ListLength().apply(Lists(np.array([5, 6, 7]), np.array([0, 2, 2, 3])))
    array([2., 0., 1.])
    """

    op = "list_length"
    takes_lists = True
    is_exact = True

    def type_of(self, taken: Sequence[ValueType], output: str) -> ValueType:
        if len(taken) != 1 or not taken[0].is_list:
            raise PlanError(
                f"Column {output!r}: ListLength wants lists, got {', '.join(map(str, taken))}."
            )
        return ValueType("number")

    def apply(self, lists: Lists) -> NDArray[np.float64]:
        return np.diff(lists.offsets).astype(np.float64)

    def bind(self, tables: Tables) -> Apply:
        return self.apply
