"""Ids of whole numbers from a known range, without a vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.values import NULL_INT64
from plumbline.features.lookup.tables import Tables
from plumbline.features.steps.native_nodes import NativeNode, NativeNodes
from plumbline.features.steps.step import NULL_ID, OUT_OF_VOCABULARY_ID, Apply, IdStep

_FIRST_ID = OUT_OF_VOCABULARY_ID + 1


@dataclass(frozen=True, slots=True)
class RangeIds(IdStep):
    """The ids of `Categorify`: 1 null, 2 outside of the range, 3 … the numbers `first` … `last`.

    >>> RangeIds(0, 23).apply(np.array([0, 23, 24, NULL_INT64]))
    array([ 3, 26,  2,  1])
    """

    op = "range_ids"
    takes = "integers"
    first: int
    last: int

    def __post_init__(self) -> None:
        if not NULL_INT64 < self.first <= self.last or self.ids >= 2**63:
            raise ValueError(f"wanted a range of integers, got {self.first} to {self.last}")

    @property
    def ids(self) -> int:
        return _FIRST_ID + self.last - self.first + 1

    @property
    def unseen_ids(self) -> range:
        return range(OUT_OF_VOCABULARY_ID, _FIRST_ID)

    def apply(self, values_B: NDArray[np.int64]) -> NDArray[np.int64]:
        inside_B = (values_B >= self.first) & (values_B <= self.last)
        # The difference first: its sum with the first id fits if the value is inside.
        ids_B = np.where(inside_B, values_B - self.first + _FIRST_ID, OUT_OF_VOCABULARY_ID)
        ids_B[np.equal(values_B, NULL_INT64)] = NULL_ID
        return ids_B

    def bind(self, tables: Tables) -> Apply:
        return self.apply

    def of_missing(self, number: float | None) -> float | None:
        return NULL_ID if number is not None and np.isnan(number) else None

    def native(
        self, nodes: NativeNodes, sources: Sequence[NativeNode], tables: Tables
    ) -> NativeNode:
        return nodes.range_ids(self.first, self.last, *sources)
