"""Straight lines between points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline.features.operators.step import NumberStep


@dataclass(frozen=True, slots=True)
class Interpolate(NumberStep):
    """`heights` at `points`, which ascend, and on a straight line between two of them.

    Before the first point and behind the last it stays level; missing stays missing.

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

    def apply(self, values_B: NDArray[np.float64]) -> NDArray[np.float64]:
        points, heights = np.array(self.points), np.array(self.heights)
        within_B = np.minimum(np.maximum(values_B, points[0]), points[-1])
        if len(points) == 1:
            return np.asarray(within_B * 0.0 + heights[0])
        place_B = np.clip(np.searchsorted(points, within_B, side="right") - 1, 0, len(points) - 2)
        start_B, low_B = points[place_B], heights[place_B]
        share_B = (within_B - start_B) / (points[place_B + 1] - start_B)
        return np.asarray(low_B + share_B * (heights[place_B + 1] - low_B))
