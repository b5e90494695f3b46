"""(x - minimum) / (maximum - minimum), with the bounds of the training split."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.base.errors import DataError
from plumbline.columns.values import Values
from plumbline.features.statistics.fields import Fields, bounds_fields, bounds_of
from plumbline.features.statistics.states import numbers
from plumbline.features.steps.cells import cells
from plumbline.features.steps.fit_step import FitStep, KeptAccumulator, Target
from plumbline.features.steps.step import NumberStep, present_numbers
from plumbline.features.steps.value_types import ValueType


@dataclass(frozen=True, slots=True)
class NormalizeMinMax(NumberStep):
    """If the bounds are equal, every number becomes 0.5.

    >>> NormalizeMinMax(1.0, 5.0).apply(np.array([2.0]))
    array([0.25])
    """

    op = "normalize_min_max"
    minimum: float
    maximum: float

    @classmethod
    def checked(cls, columns: Sequence[str], minimum: float, maximum: float) -> NormalizeMinMax:
        """The step for finite bounds; raises DataError for others, as without numbers."""
        if not (math.isfinite(minimum) and math.isfinite(maximum)):
            actual = "all missing" if minimum > maximum else f"from {minimum} to {maximum}"
            raise DataError(
                f"Column {', '.join(map(repr, columns))}: its numbers in the training split are "
                f"{actual}, so they cannot be scaled to [0, 1]. Clip the column, fill "
                "its missing values, or leave it out."
            )
        return cls(minimum, maximum)

    def apply(self, values_B: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.maximum > self.minimum:
            return (values_B - self.minimum) / (self.maximum - self.minimum)
        return np.where(np.isnan(values_B), values_B, 0.5)

    def operands(self) -> Sequence[float]:
        return self.minimum, self.maximum


@dataclass(frozen=True, slots=True)
class FitNormalizeMinMax(FitStep["Bounds"]):
    """Fits `NormalizeMinMax` with the smallest and the largest number."""

    takes = "numbers"
    keeps_missing = True

    def accumulator(self, types: Sequence[ValueType]) -> Bounds:
        return Bounds()

    def fitted(self, accumulated: Bounds, target: Target) -> NormalizeMinMax:
        return NormalizeMinMax.checked(target.columns, accumulated.minimum, accumulated.maximum)


@dataclass(slots=True)
class Bounds(KeptAccumulator):
    """The smallest and the largest number; infinite without numbers."""

    minimum: float = math.inf
    maximum: float = -math.inf

    def add(self, chunk: int, values: Sequence[Values]) -> None:
        present = present_numbers(*values)
        if len(present):
            # -0.0 equals 0.0, and which of them is the minimum hangs on the order of the rows.
            self.merge(Bounds(float(present.min()) + 0.0, float(present.max()) + 0.0))

    def merge(self, other: Bounds) -> None:
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)

    def state(self) -> pa.Table:
        return pa.table({"minimum": [self.minimum], "maximum": [self.maximum]})

    def restore(self, state: pa.Table) -> None:
        self.merge(Bounds(*(float(numbers(state, name)[0]) for name in ("minimum", "maximum"))))

    def cells(self) -> pa.Table:
        return cells(None, bounds_fields(np.array([self.minimum]), np.array([self.maximum])))

    def add_cells(self, merged: pa.Table) -> None:
        if len(merged):
            minimum, maximum = bounds_of(Fields(merged))
            self.merge(Bounds(float(minimum[0]), float(maximum[0])))
