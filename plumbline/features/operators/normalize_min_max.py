"""(x - minimum) / (maximum - minimum), with the training split's bounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline.features.operators.step import NumberStep


@dataclass(frozen=True, slots=True)
class NormalizeMinMax(NumberStep):
    """Where both bounds are one, every number becomes 0.5.

    >>> NormalizeMinMax(1.0, 5.0).apply(np.array([2.0]))
    array([0.25])
    """

    op = "normalize_min_max"
    minimum: float
    maximum: float

    def apply(self, values_B: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.maximum > self.minimum:
            return (values_B - self.minimum) / (self.maximum - self.minimum)
        return np.where(np.isnan(values_B), values_B, 0.5)
