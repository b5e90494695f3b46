"""How often each number of a column occurs, in bounded memory, whatever the order of its rows.

A number is counted by its float32 bits, folded so that they ascend with it. Of these 32 bits the
lowest `level` are left out: 0 for as long as there are at most `MOST_BINS` different numbers, then
the fewest that leave so many bins. What is left out depends on the set of the numbers alone, and
counts are whole, so parts may be counted and merged in any order with one result, to the bit.

With `MOST_BINS` bins a column of floats over twenty powers of two is known to a thousandth of each
number, and one far from zero, such as milliseconds since 1970, to the last bits of float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.values import Values
from plumbline.features.statistics.counting import IntegerCounter
from plumbline.features.steps.fit_step import Accumulator
from plumbline.features.steps.step import as_numbers

if TYPE_CHECKING:
    from typing_extensions import Self

MOST_BINS = 2**15

_LARGEST = np.finfo(np.float32).max
_SMALLEST_BITS = -(2**31 - 2**23)
"""The folded bits of the smallest float32 that is finite."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """`bins`: int64 (V,), ascending, the folded bits without the lowest `level`.

    `count`: int64 (V,), how many numbers are in each. Missing numbers are not counted.
    """

    level: int
    bins: NDArray[np.int64]
    count: NDArray[np.int64]

    @classmethod
    def empty(cls) -> Histogram:
        return cls(0, np.empty(0, np.int64), np.empty(0, np.int64))

    @classmethod
    def merged(cls, parts: Sequence[Histogram]) -> Histogram:
        """All that the parts have counted; at least one part."""
        level = max(part.level for part in parts)
        bins = np.concatenate([part.bins >> (level - part.level) for part in parts])
        count = np.concatenate([part.count for part in parts])
        order = np.argsort(bins, kind="stable")
        return cls(level, bins[order], count[order])._bounded()

    @property
    def rows(self) -> int:
        """How many numbers were counted."""
        return int(self.count.sum())

    @property
    def numbers(self) -> NDArray[np.float64]:
        """The smallest number that each bin may have, (V,), ascending and finite."""
        return _unfolded(np.maximum(self.bins << self.level, _SMALLEST_BITS))

    def bucket_starts(self, buckets: int) -> list[int]:
        """The first bin of each of at most `buckets` buckets of about as many rows; 0 is the first.

        A bin that would fill a bucket by itself has one, and what is left is divided evenly over
        the buckets that are left, as LightGBM does it.
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
        """The same of sorted bins, each once, and fewer bits where there are too many."""
        level, bins = self.level, self.bins
        while len(starts := _starts(bins)) > MOST_BINS:
            level, bins = level + 1, bins >> 1
        return Histogram(level, bins[starts], np.add.reduceat(self.count, starts))


class NumberCounts(Accumulator):
    """Counts the numbers of one column; every step made of its quantiles can share them."""

    def __init__(self) -> None:
        self._counted = Histogram.empty()
        self._counter = IntegerCounter()

    def add(self, chunk: int, values: Sequence[Values]) -> None:
        (column,) = values
        if isinstance(column, np.ndarray) and column.dtype == np.float32:
            self._count(column)  # as float64 it would be counted alike, and cost a copy
        else:
            self._count(as_numbers(column))

    def merge(self, other: Self) -> None:
        self._counted = Histogram.merged([self.histogram(), other.histogram()])

    def histogram(self) -> Histogram:
        """Of all numbers so far."""
        self._take_over()
        return self._counted

    def _count(self, numbers: NDArray[np.floating[Any]]) -> None:
        """NaN is a missing number."""
        there = numbers == numbers
        present = numbers if there.all() else numbers[there]
        self._counter.add(_folded(present) >> self._counted.level)
        if len(self._counter) > MOST_BINS:
            self._take_over()

    def _take_over(self) -> None:
        bins, count = self._counter.counts()
        if not len(bins):
            return
        self._counted = Histogram.merged(
            [self._counted, Histogram(self._counted.level, bins, count)]
        )
        self._counter = IntegerCounter()


def _folded(numbers: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """32 bits that ascend with the numbers' float32; beyond float32 is its largest number."""
    narrow = np.clip(numbers, -_LARGEST, _LARGEST).astype(np.float32, copy=False)
    return _flipped((narrow + np.float32(0)).view(np.int32)).astype(np.int64)  # -0.0 is 0.0


def _unfolded(folded: NDArray[np.int64]) -> NDArray[np.float64]:
    return _flipped(folded.astype(np.int32)).view(np.float32).astype(np.float64)


def _flipped(bits: NDArray[np.int32]) -> NDArray[np.int32]:
    """All but the sign of what is below 0: its bits descend as it ascends. Undoes itself."""
    return np.asarray(bits ^ ((bits >> 31) & np.int32(2**31 - 1)))


def _starts(bins: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where a new bin begins in sorted bins."""
    return np.flatnonzero(np.diff(bins, prepend=bins[:1] - 1))
