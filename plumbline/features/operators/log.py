"""log(1 + x): NVTabular's LogOp."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline.features.steps.native_nodes import UNUSED
from plumbline.features.steps.step import NumberStep


@dataclass(frozen=True, slots=True)
class Log(NumberStep):
    """NaN below -1, -inf at -1; missing stays missing.

    >>> Log().apply(np.array([0.0, np.e - 1.0]))
    array([0., 1.])
    """

    op = "log"

    def apply(self, values_B: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.log(values_B + 1.0))

    def operands(self) -> Sequence[float]:
        return UNUSED, UNUSED
