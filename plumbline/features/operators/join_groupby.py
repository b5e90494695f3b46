"""Statistics of the training rows with the same key: NVTabular's JoinGroupby."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.columns.values import Values
from plumbline.features.operators.keyed_value import KeyedValue, by_key
from plumbline.features.statistics.keys import MAX_PARTS, distinct, distinct_of_parts, key_array
from plumbline.features.statistics.moments import Moments, sums
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import Accumulator, FitStep, Target
from plumbline.features.steps.step import as_numbers
from plumbline.features.steps.value_types import ValueType

if TYPE_CHECKING:
    from typing_extensions import Self

Statistic = Literal["count", "sum", "mean", "std", "var", "min", "max"]


@dataclass(frozen=True, slots=True)
class FitGroupStatistic(FitStep["KeyTotals"]):
    """Fits `KeyedValue` with a statistic of `measured` over the rows with the same key.

    `count` counts rows, and has no `measured`; the other statistics ignore missing numbers. `std`
    and `var` have n - 1 degrees of freedom. A missing key counts as a key.
    """

    takes = "categories"
    statistic: Statistic
    measured: Source | None

    @property
    def also_reads(self) -> tuple[Source, ...]:
        return () if self.measured is None else (self.measured,)

    @property
    def shared_by(self) -> Hashable:
        return KeyTotals, self.measured

    def accumulator(self, types: Sequence[ValueType]) -> KeyTotals:
        return KeyTotals(len(types))

    def fitted(self, accumulated: KeyTotals, target: Target) -> KeyedValue:
        totals = accumulated.totals()
        # An unseen key has 0 rows; its other statistics are missing.
        default = 0.0 if self.statistic == "count" else None
        return by_key(target, totals.keys, totals.statistic(self.statistic), default)


@dataclass(frozen=True, slots=True)
class Totals:
    """The totals of each key, (V,): its rows, and the sum, moments and bounds of its numbers.

    The sum and the mean of whole numbers are exact, however the rows are divided into parts.
    """

    keys: pa.Array
    rows: NDArray[np.int64]
    sum: NDArray[np.float64]
    moments: Moments
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]

    @classmethod
    def of(cls, keys: pa.Array, numbers_B: NDArray[np.float64]) -> Totals:
        """The totals of a chunk; a missing number only counts as a row."""
        distinct_keys, index_B = distinct(keys)
        size = len(distinct_keys)
        known_B = ~np.isnan(numbers_B)
        index, number = index_B[known_B], numbers_B[known_B]
        minimum, maximum = np.full(size, np.inf), np.full(size, -np.inf)
        np.minimum.at(minimum, index, number)
        np.maximum.at(maximum, index, number)
        rows = np.bincount(index_B, minlength=size)
        total = sums(index, number, size)
        moments = Moments.of_groups(number, index, size)
        return cls(distinct_keys, rows, total, moments, minimum, maximum)

    @classmethod
    def merged(cls, parts: Sequence[Totals]) -> Totals:
        """The totals of one or more parts, in order."""
        keys, index = distinct_of_parts([part.keys for part in parts])
        size, every = len(keys), np.concatenate(index)
        minimum, maximum = np.full(size, np.inf), np.full(size, -np.inf)
        np.minimum.at(minimum, every, np.concatenate([part.minimum for part in parts]))
        np.maximum.at(maximum, every, np.concatenate([part.maximum for part in parts]))
        rows = sums(every, np.concatenate([part.rows for part in parts]), size)
        total = sums(every, np.concatenate([part.sum for part in parts]), size)
        moments = Moments.merged([part.moments for part in parts], index, size)
        return cls(keys, rows.astype(np.int64), total, moments, minimum, maximum)

    def statistic(self, name: Statistic) -> NDArray[np.float64]:
        """The statistic of each key, or NaN."""
        numbers, variance = self.moments.count, self.moments.variance
        with np.errstate(invalid="ignore"):
            statistics: dict[Statistic, NDArray[np.float64]] = {
                "count": self.rows.astype(np.float64),
                "sum": self.sum,
                "mean": self.sum / numbers,  # 0 / 0 without numbers
                "var": variance,
                "std": np.sqrt(variance),
                "min": np.where(numbers > 0, self.minimum, np.nan),
                "max": np.where(numbers > 0, self.maximum, np.nan),
            }
        return statistics[name]


class KeyTotals(Accumulator):
    """The totals of numbers by key, for all statistics; a missing key counts as a key."""

    def __init__(self, keys: int) -> None:
        self._keys = keys
        self._parts: list[Totals] = []

    def add(self, chunk: int, values: Sequence[Values]) -> None:
        keys, numbers = values[: self._keys], values[self._keys :]
        numbers_B = as_numbers(numbers[0]) if numbers else np.ones(len(keys[0]))
        self._take([Totals.of(key_array(keys), numbers_B)])

    def merge(self, other: Self) -> None:
        self._take(other._parts)

    def totals(self) -> Totals:
        if len(self._parts) > 1:
            self._parts = [Totals.merged(self._parts)]
        return self._parts[0]

    def _take(self, parts: Sequence[Totals]) -> None:
        self._parts += parts
        if len(self._parts) > MAX_PARTS:
            self._parts = [Totals.merged(self._parts)]
