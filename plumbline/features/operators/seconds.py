"""The seconds from one time to another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.values import NULL_INT64
from plumbline.features.lookup.tables import Tables
from plumbline.features.steps.native_nodes import NativeNode, NativeNodes
from plumbline.features.steps.step import ONE, TWO, ValueStep

_PER_SECOND = 1e6


@dataclass(frozen=True, slots=True)
class Seconds(ValueStep):
    """The seconds from the first column to the second, or from the instant `since`, if given.

    A time is in microseconds. The result is missing if a time is, and negative if the end is before
    the start.

    >>> Seconds(None).apply(np.array([0, 0]), np.array([1_500_000, NULL_INT64]))
    array([1.5, nan])
    """

    op = "seconds"
    takes = "times"
    is_exact = True
    since: int | None

    @property
    def arity(self) -> range:
        return TWO if self.since is None else ONE

    def apply(self, *times_B: NDArray[np.int64]) -> NDArray[np.float64]:
        start_B = times_B[0] if self.since is None else np.int64(self.since)
        seconds_B = (times_B[-1] - start_B) / _PER_SECOND
        for given_B in times_B:
            seconds_B[np.equal(given_B, NULL_INT64)] = np.nan
        return seconds_B

    def native(
        self, nodes: NativeNodes, sources: Sequence[NativeNode], tables: Tables
    ) -> NativeNode:
        return nodes.seconds(self.since or 0, sources)
