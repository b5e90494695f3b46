"""(x - mean) / standard deviation, from the training split."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.base.errors import DataError
from plumbline.base.json_fields import Between
from plumbline.columns.values import Values
from plumbline.features.statistics.fields import Fields, moments_fields, moments_of_fields
from plumbline.features.statistics.moments import Moments
from plumbline.features.statistics.states import moments_columns, moments_of
from plumbline.features.steps.cells import cells
from plumbline.features.steps.fit_step import FitStep, KeptAccumulator, Target
from plumbline.features.steps.step import NumberStep, as_numbers
from plumbline.features.steps.value_types import ValueType

if TYPE_CHECKING:
    from typing_extensions import Self

ROUNDING = 1e-12
"""A deviation below this fraction of the mean is a rounding error: all numbers are equal."""


def without_rounding(mean: float, deviation: float) -> float:
    """The deviation, or 0 if it is only a rounding error.

    Otherwise a column that is 0.1 in all training rows would have a deviation of 1e-17, and any
    other number in a request would become 1e16.
    """
    return deviation if deviation > ROUNDING * abs(mean) else 0.0


NotNegative: TypeAlias = Annotated[float, Between(0.0, sys.float_info.max)]


@dataclass(frozen=True, slots=True)
class Normalize(NumberStep):
    """With a deviation of 0 the column is only centred, as in NVTabular.

    >>> Normalize(2.0, 0.5).apply(np.array([3.0]))
    array([2.])
    """

    op = "normalize"
    mean: float
    deviation: NotNegative

    @classmethod
    def checked(cls, columns: Sequence[str], mean: float, deviation: float) -> Normalize:
        """The step for checked statistics; a deviation that is a rounding error becomes 0.

        Raises
        ------
        DataError
            The mean or the deviation is not finite.
        """
        if not math.isfinite(mean) or not math.isfinite(deviation):
            raise DataError(
                f"Column {', '.join(map(repr, columns))}: its mean in the training split is "
                f"{mean}, its deviation {deviation}, and no number can be normalized by them. Clip "
                "the column, fill its missing values, or remove the infinite ones from the log."
            )
        return cls(mean, without_rounding(mean, deviation))

    def apply(self, values_B: NDArray[np.float64]) -> NDArray[np.float64]:
        centred = values_B - self.mean
        return centred / self.deviation if self.deviation > 0 else centred

    def operands(self) -> Sequence[float]:
        return self.mean, self.deviation


@dataclass(frozen=True, slots=True)
class FitNormalize(FitStep["ColumnMoments"]):
    """Fits `Normalize` with the mean and the deviation (n - 1 degrees of freedom)."""

    takes = "numbers"
    keeps_missing = True

    def accumulator(self, types: Sequence[ValueType]) -> ColumnMoments:
        return ColumnMoments()

    def fitted(self, accumulated: ColumnMoments, target: Target) -> Normalize:
        return Normalize.checked(target.columns, *accumulated.mean_and_deviation())


class ColumnMoments(KeptAccumulator):
    """The moments of a column's numbers."""

    def __init__(self) -> None:
        self.moments = Moments.empty()

    def add(self, chunk: int, values: Sequence[Values]) -> None:
        self.moments = self.moments.plus(Moments.of(as_numbers(*values)))

    def merge(self, other: Self) -> None:
        self.moments = self.moments.plus(other.moments)

    def state(self) -> pa.Table:
        return pa.table(moments_columns(self.moments))

    def restore(self, state: pa.Table) -> None:
        self.moments = moments_of(state).plus(self.moments)

    def cells(self) -> pa.Table:
        return cells(None, moments_fields(self.moments))

    def add_cells(self, merged: pa.Table) -> None:
        if len(merged):
            self.moments = self.moments.plus(moments_of_fields(Fields(merged)))

    def mean_and_deviation(self) -> tuple[float, float]:
        """The mean is NaN without numbers. The deviation is 0 if all numbers are equal.

        A single number has the deviation 0 too, as in NVTabular.
        """
        moments = self.moments
        mean = float(moments.mean[0])
        deviation = math.sqrt(moments.variance[0]) if moments.count[0] > 1 else 0.0
        return mean, without_rounding(mean, deviation)
