"""A histogram of a column's numbers in bounded memory, independent of the order of its rows.

A number's bin is its float32 bits, folded so that they ascend with the number, without the lowest
`level` bits. The level is the lowest that gives at most `MAX_BINS` bins: 0 for that many distinct
numbers. It depends on the set of numbers alone, and counts are integers, so parts may be counted
and merged in any order with bitwise equal results.

With `MAX_BINS` bins, numbers over twenty powers of two are resolved to a thousandth of their value,
and numbers far from zero, such as milliseconds since 1970, to the last bits of float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.columns.values import Values
from plumbline.features.statistics.counting import IntegerCounter
from plumbline.features.statistics.states import COUNT, KEY, integers
from plumbline.features.steps.cells import SUM, cells
from plumbline.features.steps.fit_step import KeptAccumulator
from plumbline.features.steps.step import as_numbers

if TYPE_CHECKING:
    from typing_extensions import Self

MAX_BINS = 2**15

_LARGEST = np.finfo(np.float32).max
_SMALLEST_BITS = -(2**31 - 2**23)
"""The folded bits of the smallest finite float32."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """`bins`: the folded bits without the lowest `level`, int64 (V,), ascending.

    `count`: the number of rows in each bin, int64 (V,). Missing numbers are not counted.
    """

    level: int
    bins: NDArray[np.int64]
    count: NDArray[np.int64]

    @classmethod
    def empty(cls) -> Histogram:
        return cls(0, np.empty(0, np.int64), np.empty(0, np.int64))

    @classmethod
    def merged(cls, parts: Sequence[Histogram]) -> Histogram:
        """The sum of one or more histograms."""
        level = max(part.level for part in parts)
        bins = np.concatenate([part.bins >> (level - part.level) for part in parts])
        count = np.concatenate([part.count for part in parts])
        order = np.argsort(bins, kind="stable")
        return cls(level, bins[order], count[order])._bounded()

    @property
    def rows(self) -> int:
        """The number of rows with a number."""
        return int(self.count.sum())

    @property
    def numbers(self) -> NDArray[np.float64]:
        """The smallest number of each bin, float64 (V,), ascending and finite."""
        return _unfolded(np.maximum(self.bins << self.level, _SMALLEST_BITS))

    def bucket_starts(self, buckets: int) -> list[int]:
        """The first bin of each of at most `buckets` buckets with about equal numbers of rows.

        A bin large enough to fill a bucket gets its own. The remaining rows are divided evenly over
        the remaining buckets, as in LightGBM.
        """
        count = self.count
        if len(count) <= buckets:
            return list(range(max(len(count), 1)))
        ends = np.cumsum(count)
        large = np.flatnonzero(count * buckets >= ends[-1])
        rows, left = int(ends[-1] - count[large].sum()), buckets - len(large)
        starts = [0]
        while len(starts) < buckets:
            first = starts[-1]
            index = int(np.searchsorted(large, first))
            following = int(large[index]) if index < len(large) else len(count)
            end = first + 1
            if following != first:
                before = int(ends[first] - count[first])
                share = -(-rows // max(left, 1))
                end = min(int(np.searchsorted(ends, before + share)) + 1, following)
                rows, left = rows - (int(ends[end - 1]) - before), left - 1
            if end >= len(count):
                break
            starts.append(end)
        return starts

    def _bounded(self) -> Histogram:
        """Merge equal bins, which must be sorted, and raise the level if there are too many."""
        level, bins = self.level, self.bins
        while len(starts := _starts(bins)) > MAX_BINS:
            level, bins = level + 1, bins >> 1
        return Histogram(level, bins[starts], np.add.reduceat(self.count, starts))


class NumberCounts(KeptAccumulator):
    """The histogram of a column; all steps fitted on its quantiles can share it."""

    def __init__(self) -> None:
        self._merged = Histogram.empty()
        self._counter = IntegerCounter()

    def add(self, chunk: int, values: Sequence[Values]) -> None:
        (column,) = values
        if isinstance(column, np.ndarray) and column.dtype == np.float32:
            self._count(column)  # float64 would give the same bins, but cost a copy
        else:
            self._count(as_numbers(column))

    def merge(self, other: Self) -> None:
        self._merged = Histogram.merged([self.histogram(), other.histogram()])

    def state(self) -> pa.Table:
        found = self.histogram()
        levels = np.full(len(found.bins), found.level)
        return pa.table({KEY: found.bins, COUNT: found.count, "level": levels})

    def restore(self, state: pa.Table) -> None:
        if len(state):
            level = int(integers(state, "level")[0])
            found = Histogram(level, integers(state, KEY), integers(state, COUNT))
            self._merged = Histogram.merged([found, self.histogram()])

    def cells(self) -> pa.Table:
        """A bin is a key, and its level a field."""
        histogram = self.histogram()
        bins = pa.array(histogram.bins)
        return cells(bins, [(histogram.level, SUM, histogram.count)])

    def add_cells(self, merged: pa.Table) -> None:
        level, bins, count = (np.asarray(merged[n]) for n in ("field", "integer", "value"))
        parts = [
            Histogram(int(one), bins[level == one], count[level == one]) for one in np.unique(level)
        ]
        self._merged = Histogram.merged([self.histogram(), *parts])

    def histogram(self) -> Histogram:
        """The histogram of all numbers so far."""
        self._merge_counter()
        return self._merged

    def _count(self, numbers: NDArray[np.floating[Any]]) -> None:
        """Count numbers; NaN is missing."""
        is_present = numbers == numbers
        present = numbers if is_present.all() else numbers[is_present]
        self._counter.add(_folded(present) >> self._merged.level)
        if len(self._counter) > MAX_BINS:
            self._merge_counter()

    def _merge_counter(self) -> None:
        bins, count = self._counter.counts()
        if not len(bins):
            return
        self._merged = Histogram.merged([self._merged, Histogram(self._merged.level, bins, count)])
        self._counter = IntegerCounter()


def _folded(numbers: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """32 bits that ascend with the number in float32; larger numbers are clipped to its range."""
    narrow = np.clip(numbers, -_LARGEST, _LARGEST).astype(np.float32, copy=False)
    return _flipped((narrow + np.float32(0)).view(np.int32)).astype(np.int64)  # -0.0 is 0.0


def _unfolded(folded: NDArray[np.int64]) -> NDArray[np.float64]:
    return _flipped(folded.astype(np.int32)).view(np.float32).astype(np.float64)


def _flipped(bits: NDArray[np.int32]) -> NDArray[np.int32]:
    """Flip all bits but the sign of negative values, whose bits descend; its own inverse."""
    return np.asarray(bits ^ ((bits >> 31) & np.int32(2**31 - 1)))


def _starts(bins: NDArray[np.int64]) -> NDArray[np.int64]:
    """The index of the first of each run of equal bins."""
    return np.flatnonzero(np.diff(bins, prepend=bins[:1] - 1))
