"""Numbers to the normal scores of their ranks, by linear interpolation."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from plumbline.features.statistics.histogram import Histogram, NumberCounts
from plumbline.features.steps.fit_step import FitStep, Target
from plumbline.features.steps.step import NumberStep
from plumbline.features.steps.value_types import ValueType


@dataclass(frozen=True, slots=True)
class Interpolate(NumberStep):
    """Linear interpolation of `heights` between `points`, which must ascend.

    It is constant before the first point and after the last; missing stays missing.

    >>> Interpolate((0.0, 10.0), (-1.0, 1.0)).apply(np.array([-5.0, 2.5, 10.0, np.nan]))
    array([-1. , -0.5,  1. ,  nan])
    """

    op = "interpolate"
    points: tuple[float, ...]
    heights: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.points or len(self.points) != len(self.heights):
            raise ValueError(
                f"interpolate: wanted as many heights as points, one or more, got "
                f"{len(self.heights)} and {len(self.points)}"
            )
        if any(one >= other for one, other in pairwise(self.points)):
            raise ValueError("interpolate: wanted points that ascend")

    def apply(self, values_B: NDArray[np.float64]) -> NDArray[np.float64]:
        points, heights = np.array(self.points), np.array(self.heights)
        clamped_B = np.minimum(np.maximum(values_B, points[0]), points[-1])
        if len(points) == 1:
            return np.asarray(clamped_B * 0.0 + heights[0])
        line_B = np.clip(np.searchsorted(points, clamped_B, side="right") - 1, 0, len(points) - 2)
        start_B, low_B = points[line_B], heights[line_B]
        share_B = (clamped_B - start_B) / (points[line_B + 1] - start_B)
        return np.asarray(low_B + share_B * (heights[line_B + 1] - low_B))

    def operands(self) -> Sequence[float]:
        return *self.points, *self.heights


@dataclass(frozen=True, slots=True)
class FitQuantileTransform(FitStep[NumberCounts]):
    """Fits `Interpolate` with the normal scores of at most `knots` numbers by rank.

    The rank of a number is the share of rows below it, plus half of those equal to it. Numbers
    outside the range of the training split get the scores of its bounds.
    """

    takes = "numbers"
    keeps_missing = True
    knots: int

    @property
    def shared_by(self) -> Hashable:
        return NumberCounts

    def accumulator(self, types: Sequence[ValueType]) -> NumberCounts:
        return NumberCounts()

    def fitted(self, accumulated: NumberCounts, target: Target) -> Interpolate:
        return self.of(accumulated.histogram())

    def of(self, histogram: Histogram) -> Interpolate:
        """The step for the histogram of a column."""
        count = histogram.count
        if not len(count):
            return Interpolate((0.0,), (0.0,))
        knots = np.unique([*histogram.bucket_starts(self.knots - 1), len(count) - 1])
        rank = (np.cumsum(count) - count / 2)[knots] / histogram.rows
        normal = NormalDist()
        scores = tuple(normal.inv_cdf(share) for share in rank.tolist())
        return Interpolate(tuple(histogram.numbers[knots].tolist()), scores)
