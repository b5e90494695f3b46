"""The sine and the cosine of a number that repeats after a period, such as an hour after 24."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plumbline.base.json_fields import Between
from plumbline.features.steps.step import NumberStep

Period: TypeAlias = Annotated[float, Between(math.ulp(0.0), sys.float_info.max)]


@dataclass(frozen=True, slots=True)
class Sine(NumberStep):
    """sin(2π x / period); missing stays missing.

    >>> Sine(24.0).apply(np.array([0.0, 6.0, 18.0, np.nan]))
    array([ 0.,  1., -1., nan])
    """

    op = "sine"
    period: Period

    def apply(self, values_B: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.sin(_angles(values_B, self.period)))


@dataclass(frozen=True, slots=True)
class Cosine(NumberStep):
    """cos(2π x / period); missing stays missing."""

    op = "cosine"
    period: Period

    def apply(self, values_B: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.cos(_angles(values_B, self.period)))


def _angles(values_B: NDArray[np.float64], period: float) -> NDArray[np.float64]:
    """In radians, between -2π and 2π; the remainder is exact."""
    with np.errstate(invalid="ignore"):  # infinity gives NaN
        return np.fmod(values_B, period) * (2 * math.pi / period)
