"""Clips numbers to [minimum, maximum]; missing stays missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline.features.steps.native_nodes import UNUSED
from plumbline.features.steps.step import NumberStep


@dataclass(frozen=True, slots=True)
class Clip(NumberStep):
    """A bound of None is open.

    >>> Clip(0.0, None).apply(np.array([-3.0, 2.0, np.nan]))
    array([ 0.,  2., nan])
    """

    op = "clip"
    is_exact = True
    minimum: float | None
    maximum: float | None

    def apply(self, values_B: NDArray[np.float64]) -> NDArray[np.float64]:
        clipped = values_B
        if self.minimum is not None:
            clipped = np.maximum(clipped, self.minimum)
        if self.maximum is not None:
            clipped = np.minimum(clipped, self.maximum)
        return clipped

    def operands(self) -> Sequence[float]:
        low, high = self.minimum, self.maximum
        return UNUSED if low is None else low, UNUSED if high is None else high
