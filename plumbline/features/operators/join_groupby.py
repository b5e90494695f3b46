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
from plumbline.features.statistics.fields import (
    ROWS,
    Fields,
    bounds_fields,
    bounds_of,
    moments_fields,
    moments_of_fields,
)
from plumbline.features.statistics.keys import (
    KeyTable,
    Parts,
    distinct,
    distinct_of_parts,
    key_array,
)
from plumbline.features.statistics.moments import Moments
from plumbline.features.statistics.states import (
    KEY,
    integers,
    keys_of,
    moments_columns,
    moments_of,
    numbers,
)
from plumbline.features.steps.cells import SUM, cells, no_cells
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import FitStep, KeptAccumulator, Target
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

    @property
    def operator(self) -> str:
        return "JoinGroupby"

    def accumulator(self, types: Sequence[ValueType]) -> KeyTotals:
        return KeyTotals(len(types))

    def fitted(self, accumulated: KeyTotals, target: Target) -> KeyedValue:
        totals, keys = accumulated.totals(), accumulated.table(target.types)
        # An unseen key has 0 rows; its other statistics are missing.
        default = 0.0 if self.statistic == "count" else None
        return by_key(target, keys, totals.statistic(self.statistic), default)


@dataclass(frozen=True, slots=True)
class Totals:
    """The totals of each key, (V,): its rows, and the moments and bounds of its numbers."""

    keys: pa.Array
    rows: NDArray[np.int64]
    moments: Moments
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]

    @classmethod
    def of(cls, keys: pa.Array, numbers_B: NDArray[np.float64]) -> Totals:
        """The totals of a chunk; a missing number only counts as a row."""
        distinct_keys, index_B = distinct(keys)
        size = len(distinct_keys)
        rows = np.bincount(index_B, minlength=size)
        moments = Moments.of(numbers_B, index_B, size)
        return cls(distinct_keys, rows, moments, *_bounds(index_B, numbers_B, numbers_B, size))

    @classmethod
    def merged(cls, parts: Sequence[Totals], *, ascending: bool = False) -> Totals:
        """The totals of one or more parts; the keys may be sorted."""
        keys, index = distinct_of_parts([part.keys for part in parts], ascending=ascending)
        size, every = len(keys), np.concatenate(index)
        rows = np.zeros(size, np.int64)
        np.add.at(rows, every, np.concatenate([part.rows for part in parts]))
        minimum = np.concatenate([part.minimum for part in parts])
        maximum = np.concatenate([part.maximum for part in parts])
        moments = Moments.merged([part.moments for part in parts], index, size)
        return cls(keys, rows, moments, *_bounds(every, minimum, maximum, size))

    def cells(self) -> pa.Table:
        fields = [
            (ROWS, SUM, self.rows),
            *moments_fields(self.moments),
            *bounds_fields(self.minimum, self.maximum),
        ]
        return cells(self.keys, fields)

    @classmethod
    def of_cells(cls, merged: pa.Table) -> Totals:
        fields = Fields(merged)
        return cls(fields.keys, fields(ROWS), moments_of_fields(fields), *bounds_of(fields))

    def statistic(self, name: Statistic) -> NDArray[np.float64]:
        """The statistic of each key, or NaN."""
        numbers = self.moments.count
        match name:
            case "count":
                return self.rows.astype(np.float64)
            case "sum":
                return self.moments.sums.total()
            case "mean":
                return self.moments.mean
            case "var":
                return self.moments.variance
            case "std":
                return np.sqrt(self.moments.variance)
            case "min":
                return np.where(numbers > 0, self.minimum, np.nan)
            case "max":
                return np.where(numbers > 0, self.maximum, np.nan)


def _bounds(
    index: NDArray[np.int64], low: NDArray[np.float64], high: NDArray[np.float64], groups: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The least of `low` and the largest of `high` of each group, without NaN."""
    minimum, maximum = np.full(groups, np.inf), np.full(groups, -np.inf)
    np.fmin.at(minimum, index, low)
    np.fmax.at(maximum, index, high)
    return minimum + 0.0, maximum + 0.0  # -0.0 equals 0.0: which one is kept hangs on the order


class KeyTotals(KeptAccumulator):
    """The totals of numbers by key, for all statistics; a missing key counts as a key."""

    def __init__(self, keys: int) -> None:
        self._keys = keys
        self._parts: Parts[Totals] = Parts()

    def add(self, chunk: int, values: Sequence[Values]) -> None:
        keys, measured = values[: self._keys], values[self._keys :]
        numbers_B = as_numbers(measured[0]) if measured else np.full(len(keys[0]), np.nan)
        self._parts.add(Totals.of(key_array(keys), numbers_B))

    def merge(self, other: Self) -> None:
        self._parts.merge(other._parts)

    def state(self) -> pa.Table:
        totals = self.totals()
        columns = {
            KEY: totals.keys,
            "rows": totals.rows,
            "minimum": totals.minimum,
            "maximum": totals.maximum,
        }
        return pa.table({**columns, **moments_columns(totals.moments)})

    def restore(self, state: pa.Table) -> None:
        bounds = numbers(state, "minimum"), numbers(state, "maximum")
        keys, rows = keys_of(state), integers(state, "rows")
        self._parts.add(Totals(keys, rows, moments_of(state), *bounds))

    def cells(self) -> pa.Table:
        return self.totals().cells() if self._parts else no_cells()

    def add_cells(self, merged: pa.Table) -> None:
        if len(merged):
            self._parts.add(Totals.of_cells(merged))

    def totals(self) -> Totals:
        """The totals of all rows, with ascending keys."""
        return self._parts.total()

    def table(self, types: Sequence[ValueType]) -> KeyTable:
        """The keys of `totals`, for all statistics; call it after the last row."""
        return self._parts.table(types)
