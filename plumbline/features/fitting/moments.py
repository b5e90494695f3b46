"""Statistics of one column's numbers: mean and deviation, bounds, median."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from plumbline.base.errors import DataError
from plumbline.columns.values import Values
from plumbline.features.fitting.accumulator import Accumulator, Target
from plumbline.features.fitting.counting import IntegerCounter
from plumbline.features.operators import FillMissing, Normalize, NormalizeMinMax
from plumbline.features.operators.step import as_numbers
from plumbline.features.plan.chains import Source


def _present(values: Sequence[Values]) -> NDArray[np.float64]:
    (column,) = values
    numbers_B = as_numbers(column)
    missing_B = np.isnan(numbers_B)
    return numbers_B[~missing_B] if missing_B.any() else numbers_B


class Moments(Accumulator):
    """Mean and deviation, put together from chunks by Chan, Golub and LeVeque's update (1983)."""

    _count = 0
    _mean = 0.0
    _squares = 0.0
    """Sum of squared distances from the mean."""

    def add(self, chunk: int, values: Sequence[Values]) -> None:
        numbers = _present(values)
        if not len(numbers):
            return
        with np.errstate(invalid="ignore", over="ignore"):
            mean = float(numbers.mean())
            centred = numbers - mean
            squares = float(np.dot(centred, centred))
            total = self._count + len(numbers)
            apart = mean - self._mean
            self._mean += apart * len(numbers) / total
            self._squares += squares + apart**2 * self._count * len(numbers) / total
        self._count = total

    def finish(self, target: Target) -> Normalize:
        # The deviation of a single number is 0: the column is only centred, as in NVTabular.
        deviation = math.sqrt(self._squares / (self._count - 1)) if self._count > 1 else 0.0
        mean = self._mean if self._count else None
        return normalize(target.columns, mean, deviation)


ROUNDING = 1e-12
"""A deviation of so little of the mean is the rounding of sums: all numbers are the same."""


def normalize(columns: Sequence[str], mean: float | None, deviation: float) -> Normalize:
    """The step; a deviation that is only rounding is 0, and the column is only centred.

    Otherwise a column that is 0.1 in all training rows would have the deviation 1e-17, and any
    other number that is served would become 1e16.

    Raises
    ------
    DataError
        There is no mean, or one of the two is not finite.
    """
    if mean is None or not math.isfinite(mean) or not math.isfinite(deviation):
        raise DataError(
            f"Column {', '.join(map(repr, columns))}: its mean in the training split is {mean}, "
            f"its deviation {deviation}, and no number can be normalized by them. Clip the column, "
            "fill its missing values, or remove the infinite ones from the log."
        )
    return Normalize(mean, deviation if deviation > ROUNDING * abs(mean) else 0.0)


class Extremes(Accumulator):
    """The smallest and the largest number."""

    _minimum = math.inf
    _maximum = -math.inf

    def add(self, chunk: int, values: Sequence[Values]) -> None:
        numbers = _present(values)
        if len(numbers):
            self._minimum = min(self._minimum, float(numbers.min()))
            self._maximum = max(self._maximum, float(numbers.max()))

    def finish(self, target: Target) -> NormalizeMinMax:
        if not (math.isfinite(self._minimum) and math.isfinite(self._maximum)):
            found = f"from {self._minimum} to {self._maximum}"
            if self._minimum > self._maximum:
                found = "all missing"
            raise DataError(
                f"Column {', '.join(map(repr, target.columns))}: its numbers in the training split "
                f"are {found}, and none can be brought between 0 and 1 by them. Clip the column, "
                "fill its missing values, or leave it out."
            )
        return NormalizeMinMax(self._minimum, self._maximum)


class Median(Accumulator):
    """The exact median, from the counts of the distinct numbers; these have to fit in memory."""

    def __init__(self, sources: tuple[Source, ...]) -> None:
        super().__init__(sources)
        self._counter = IntegerCounter()

    def add(self, chunk: int, values: Sequence[Values]) -> None:
        numbers = _present(values) + 0.0  # turns -0.0, whose bits are the null mark, into 0.0
        self._counter.add(numbers.view(np.int64))

    def finish(self, target: Target) -> FillMissing:
        bits, count = self._counter.counts()
        if not len(bits):
            raise DataError(
                f"Column {', '.join(map(repr, target.columns))} is missing in every row of the "
                "training split, so it has no median. Fill it with a number, or leave it out."
            )
        numbers = bits.view(np.float64)
        order = np.argsort(numbers)
        ends = np.cumsum(count[order])
        middle = [(ends[-1] - 1) // 2, ends[-1] // 2]
        low, high = numbers[order][np.searchsorted(ends, middle, side="right")]
        return FillMissing(float(low) if low == high else float(low + (high - low) / 2))
