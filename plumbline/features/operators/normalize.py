"""(x - mean) / standard deviation, with the training split's statistics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline.features.operators.step import NumberStep


@dataclass(frozen=True, slots=True)
class Normalize(NumberStep):
    """A column without spread (deviation 0) is only centred, as in NVTabular.

    >>> Normalize(2.0, 0.5).apply(np.array([3.0]))
    array([2.])
    """

    op = "normalize"
    mean: float
    deviation: float

    def apply(self, values_B: NDArray[np.float64]) -> NDArray[np.float64]:
        centred = values_B - self.mean
        return centred / self.deviation if self.deviation > 0 else centred
