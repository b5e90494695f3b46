"""Numbers become buckets of about as many training rows: the step that is fitted is `Bucketize`."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from plumbline.features.operators.bucketize import Bucketize
from plumbline.features.statistics.histogram import Histogram, NumberCounts
from plumbline.features.steps.fit_step import FitStep, Target
from plumbline.features.steps.value_types import ValueType

BEYOND = sys.float_info.max
"""A boundary that no number reaches: the bucket behind it is that of the missing ones."""


@dataclass(frozen=True, slots=True)
class FitQuantileBucketize(FitStep[NumberCounts]):
    """To become `Bucketize` with at most `buckets` of about as many rows, missing ones apart.

    There are fewer where they would have less than `rows_each` rows, but not fewer than two. Where
    there are no more distinct numbers than buckets, each has its own.
    """

    takes = "numbers"
    gives = "ids"
    buckets: int
    rows_each: int = 1

    @property
    def shared_by(self) -> Hashable:
        return NumberCounts

    def accumulator(self, types: Sequence[ValueType]) -> NumberCounts:
        return NumberCounts()

    def fitted(self, accumulated: NumberCounts, target: Target) -> Bucketize:
        return self.of(accumulated.histogram())

    def of(self, histogram: Histogram) -> Bucketize:
        """The step of a column that was counted."""
        buckets = min(self.buckets, max(histogram.rows // self.rows_each, 2))
        starts = histogram.bucket_starts(buckets)
        return Bucketize((*histogram.numbers[starts[1:]].tolist(), BEYOND))
