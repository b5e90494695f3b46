"""Fills missing numbers with the training split's median; fits `FillMissing`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from plumbline.base.errors import DataError
from plumbline.columns.values import Values
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.statistics.counting import IntegerCounter
from plumbline.features.statistics.fields import add_to_counter, counter_cells
from plumbline.features.statistics.states import COUNT, KEY, integers
from plumbline.features.steps.fit_step import FitStep, KeptAccumulator, Target
from plumbline.features.steps.step import present_numbers
from plumbline.features.steps.value_types import ValueType

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, slots=True)
class FitMedian(FitStep["DistinctNumbers"]):
    """Fits `FillMissing` with the median, for an even count the mean of the middle two."""

    takes = "numbers"
    fills_missing = True
    is_exact = True

    @property
    def operator(self) -> str:
        return "FillMedian"

    def accumulator(self, types: Sequence[ValueType]) -> DistinctNumbers:
        return DistinctNumbers()

    def fitted(self, accumulated: DistinctNumbers, target: Target) -> FillMissing:
        median = accumulated.median()
        if median is None:
            raise DataError(
                f"Column {', '.join(map(repr, target.columns))} is missing in every row of the "
                "training split, so it has no median. Fill it with a number, or leave it out."
            )
        return FillMissing(median)


class DistinctNumbers(KeptAccumulator):
    """Counts each distinct number; they must fit in memory."""

    def __init__(self) -> None:
        self._counter = IntegerCounter()

    def add(self, chunk: int, values: Sequence[Values]) -> None:
        numbers = present_numbers(*values) + 0.0  # -0.0 becomes 0.0; its bits mean missing
        self._counter.add(numbers.view(np.int64))

    def merge(self, other: Self) -> None:
        self._counter.merge(other._counter)

    def state(self) -> pa.Table:
        """The bits of the numbers as `key`, and their counts."""
        bits, count = self._counter.counts()
        return pa.table({KEY: bits, COUNT: count})

    def restore(self, state: pa.Table) -> None:
        self._counter.add_counted(integers(state, KEY), integers(state, COUNT))

    def cells(self) -> pa.Table:
        return counter_cells(self._counter)

    def add_cells(self, merged: pa.Table) -> None:
        add_to_counter(self._counter, merged)

    def median(self) -> float | None:
        """The exact median; None without numbers."""
        bits, count = self._counter.counts()
        if not len(bits):
            return None
        numbers = bits.view(np.float64)
        order = np.argsort(numbers)
        ends = np.cumsum(count[order])
        middle = [(ends[-1] - 1) // 2, ends[-1] // 2]
        low, high = numbers[order][np.searchsorted(ends, middle, side="right")]
        return float(low) if low == high else float(low + (high - low) / 2)
