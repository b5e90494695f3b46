"""Buckets with about equal numbers of training rows; fits `Bucketize`."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from plumbline.features.operators.bucketize import Bucketize
from plumbline.features.statistics.histogram import Histogram, NumberCounts
from plumbline.features.steps.fit_step import FitStep, Target
from plumbline.features.steps.value_types import ValueType

BEYOND = sys.float_info.max
"""A boundary above all numbers; only missing ones are in the bucket after it."""


@dataclass(frozen=True, slots=True)
class FitQuantileBucketize(FitStep[NumberCounts]):
    """Fits `Bucketize` with at most `buckets` buckets of about equal size, plus one for missing.

    It uses fewer if they would have less than `rows_each` rows, but at least two. If there are at
    most as many distinct numbers as buckets, each number gets its own.
    """

    takes = "numbers"
    gives = "ids"
    stays = True  # the ids of its buckets have embeddings
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
        """The step for the histogram of a column."""
        buckets = min(self.buckets, max(histogram.rows // self.rows_each, 2))
        starts = histogram.bucket_starts(buckets)
        return Bucketize((*histogram.numbers[starts[1:]].tolist(), BEYOND))
