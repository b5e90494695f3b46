"""Steps made of a column's quantiles: buckets of about as many rows, and an even spread.

Both are picked from the same `Histogram`, so every engine picks the same.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.values import Values
from plumbline.features.fitting.accumulator import Accumulator, Target
from plumbline.features.fitting.histogram import Counting, Histogram
from plumbline.features.operators import Bucketize, Interpolate, Step
from plumbline.features.operators.step import as_numbers
from plumbline.features.plan.chains import Source
from plumbline.features.plan.unfitted import FitQuantileBucketize, FitQuantiles

BEYOND = sys.float_info.max
"""A boundary that no number reaches: the bucket behind it is that of the missing ones."""


def of_quantiles(step: FitQuantiles, histogram: Histogram) -> Bucketize | Interpolate:
    """The fitted step of a column that was counted."""
    if isinstance(step, FitQuantileBucketize):
        return quantile_buckets(histogram, step.buckets, step.rows_each)
    return quantile_transform(histogram, step.knots)


def quantile_buckets(histogram: Histogram, buckets: int, rows_each: int = 1) -> Bucketize:
    """At most `buckets` of about as many rows each, and one more for missing numbers.

    Where there would be less than `rows_each` rows in each there are fewer, but not fewer than two.
    Where there are no more distinct numbers than buckets, each has its own.
    """
    starts = _bucket_starts(histogram.count, min(buckets, max(histogram.rows // rows_each, 2)))
    return Bucketize((*histogram.numbers[starts[1:]].tolist(), BEYOND))


def quantile_transform(histogram: Histogram, knots: int) -> Interpolate:
    """The normal score of a number's rank, straight between about `knots` of the numbers.

    The rank of a number is the share of rows below it and half of those that have it. Numbers
    beyond the smallest and the largest one have these two's scores.
    """
    count = histogram.count
    if not len(count):
        return Interpolate((0.0,), (0.0,))
    places = np.unique([*_bucket_starts(count, knots - 1), len(count) - 1])
    rank = (np.cumsum(count) - count / 2)[places] / histogram.rows
    normal = NormalDist()
    scores = tuple(normal.inv_cdf(one) for one in rank.tolist())
    return Interpolate(tuple(histogram.numbers[places].tolist()), scores)


def _bucket_starts(count: NDArray[np.int64], buckets: int) -> list[int]:
    """The first bin of each of at most `buckets` buckets; 0 is the first.

    A bin that would fill a bucket by itself has one, and what is left is divided evenly over the
    buckets that are left, as LightGBM does it.
    """
    if len(count) <= buckets:
        return list(range(max(len(count), 1)))
    behind = np.cumsum(count)
    large = np.flatnonzero(count * buckets >= behind[-1])
    rows, left = int(behind[-1] - count[large].sum()), buckets - len(large)
    starts = [0]
    while len(starts) < buckets:
        first = starts[-1]
        place = int(np.searchsorted(large, first))
        following = int(large[place]) if place < len(large) else len(count)
        end = first + 1
        if following != first:
            before = int(behind[first] - count[first])
            share = -(-rows // max(left, 1))
            end = min(int(np.searchsorted(behind, before + share)) + 1, following)
            rows, left = rows - (int(behind[end - 1]) - before), left - 1
        if end >= len(count):
            break
        starts.append(end)
    return starts


class NumberCounts(Accumulator):
    """Serves every step that is made of one source's quantiles."""

    def __init__(self, sources: tuple[Source, ...]) -> None:
        super().__init__(sources)
        self._counting = Counting()

    def add(self, chunk: int, values: Sequence[Values]) -> None:
        (column,) = values
        if isinstance(column, np.ndarray) and column.dtype == np.float32:
            self._counting.add(column)  # as float64 it would be the same, and cost a copy
        else:
            self._counting.add(as_numbers(column))

    def histogram(self) -> Histogram:
        return self._counting.histogram()

    def finish(self, target: Target) -> Step:
        raise TypeError("a QuantileStep finishes the counts")


class QuantileStep(Accumulator):
    """One step; several of the same source share its counts."""

    def __init__(self, step: FitQuantiles, counts: NumberCounts) -> None:
        super().__init__(counts.sources)
        self._step = step
        self._counts = counts

    @property
    def reader(self) -> Accumulator:
        return self._counts

    def add(self, chunk: int, values: Sequence[Values]) -> None:
        self._counts.add(chunk, values)

    def finish(self, target: Target) -> Step:
        return of_quantiles(self._step, self._counts.histogram())
