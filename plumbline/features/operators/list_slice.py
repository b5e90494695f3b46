"""A part of each list: its first or last elements, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from plumbline.base.errors import PlanError
from plumbline.base.json_fields import Between
from plumbline.columns.values import Lists, Text, concat, offsets_of, take
from plumbline.features.lookup.tables import Tables
from plumbline.features.steps.step import Apply, Step
from plumbline.features.steps.value_types import ValueType

LONGEST = 65_536
"""The most elements that a list is filled up to."""


@dataclass(frozen=True, slots=True)
class ListSlice(Step):
    """`list[start:end]` of each list, as in Python: a negative bound counts from the list's end.

    If `pad` is given, a list shorter than `width` is filled up at its end with `pad`, an integer,
    text or id as the elements are.

    >>> ListSlice(-2, None, None, None).apply(Lists(np.array([1, 2, 3, 4]), np.array([0, 3, 4])))
    Lists(values=array([2, 3, 4]), offsets=array([0, 2, 3]))
    """

    op = "list_slice"
    takes_lists = True
    gives = "same"
    is_exact = True
    start: int
    end: int | None
    width: Annotated[int, Between(1, LONGEST)] | None
    pad: int | str | None

    def type_of(self, taken: Sequence[ValueType], output: str) -> ValueType:
        if len(taken) != 1 or not taken[0].is_list:
            got = ", ".join(map(str, taken))
            raise PlanError(f"Column {output!r}: ListSlice wants lists, got {got}.")
        if self.pad is not None and (taken[0].element == "text") != isinstance(self.pad, str):
            raise PlanError(f"Column {output!r}: ListSlice pads {taken[0]} with {self.pad!r}.")
        return taken[0]

    def apply(self, lists: Lists) -> Lists:
        length_B = np.diff(lists.offsets)
        start_B = _bound(self.start, length_B)
        end_B = length_B if self.end is None else _bound(self.end, length_B)
        kept_B = np.maximum(end_B - start_B, 0)
        filled_B = kept_B if self.pad is None else np.maximum(kept_B, self.width or 0)
        offsets = offsets_of(filled_B)
        # The index of every element of the result in its list, then among all elements.
        index_N = np.arange(offsets[-1]) - np.repeat(offsets[:-1], filled_B)
        is_pad_N = index_N >= np.repeat(kept_B, filled_B)
        index_N += np.repeat(lists.offsets[:-1] + start_B, filled_B)
        if self.pad is None:
            return Lists(take(lists.values, index_N), offsets)
        index_N[is_pad_N] = len(lists.values)
        return Lists(take(concat([lists.values, self._one_pad(lists)]), index_N), offsets)

    def bind(self, tables: Tables) -> Apply:
        return self.apply

    def _one_pad(self, lists: Lists) -> object:
        """`pad` as a column of one row, of the type of the lists' elements."""
        if isinstance(lists.values, Text):
            return Text.from_objects([str(self.pad).encode()])
        return np.array([self.pad], lists.values.dtype)


def _bound(bound: int, length_B: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.clip(bound + length_B if bound < 0 else bound, 0, length_B)
