"""The number of boundaries at or below a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.values import Values
from plumbline.features.lookup.tables import Tables
from plumbline.features.steps.native_nodes import NativeNode, NativeNodes
from plumbline.features.steps.step import Apply, IdStep, as_numbers


@dataclass(frozen=True, slots=True)
class Bucketize(IdStep):
    """Ids 0 to the number of `boundaries`, which must ascend. Missing numbers get the last id.

    NumPy's digitize, which NVTabular uses, does the same.

    >>> Bucketize((0.0, 10.0)).apply(np.array([-1.0, 0.0, 5.0, 10.0, np.nan]))
    array([0, 1, 1, 2, 2])
    """

    op = "bucketize"
    takes = "numbers"
    boundaries: tuple[float, ...]

    def __post_init__(self) -> None:
        if any(one > other for one, other in pairwise(self.boundaries)):
            raise ValueError("wanted boundaries that ascend")

    @property
    def ids(self) -> int:
        return len(self.boundaries) + 1

    def apply(self, values: Values) -> NDArray[np.int64]:
        return np.digitize(as_numbers(values), np.array(self.boundaries)).astype(np.int64)

    def bind(self, tables: Tables) -> Apply:
        return self.apply

    def of_missing(self, number: float | None) -> float | None:
        return None if number is None else float(self.apply(np.array([number]))[0])

    def native(
        self, nodes: NativeNodes, sources: Sequence[NativeNode], tables: Tables
    ) -> NativeNode:
        (source,) = sources
        return nodes.bucketize(self.boundaries, source)
