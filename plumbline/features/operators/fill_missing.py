"""Fills missing numbers (null or NaN) with a constant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline.features.steps.native_nodes import UNUSED
from plumbline.features.steps.step import NumberStep


@dataclass(frozen=True, slots=True)
class FillMissing(NumberStep):
    """
    >>> FillMissing(0.0).apply(np.array([1.0, np.nan]))
    array([1., 0.])
    """

    op = "fill_missing"
    fills_missing = True
    is_exact = True
    value: float

    def apply(self, values_B: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(np.isnan(values_B), self.value, values_B)

    def operands(self) -> Sequence[float]:
        return self.value, UNUSED
