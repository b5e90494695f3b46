"""Target encoding: the smoothed mean of the target over the training rows with the same key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.base.errors import DataError
from plumbline.columns.keys import is_all_missing, part_values
from plumbline.columns.values import Values
from plumbline.features.lookup.tables import Tables
from plumbline.features.operators.keyed_value import KeyedValue, by_key
from plumbline.features.statistics.keys import (
    MAX_PARTS,
    distinct,
    distinct_of_parts,
    key_array,
    key_parts,
)
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import Accumulator, FitStep, Target
from plumbline.features.steps.step import Apply, Step, as_numbers
from plumbline.features.steps.value_types import ValueType

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, slots=True)
class FitTargetEncoding(FitStep["TargetTotals"]):
    """Fits `KeyedValue` with (sum + smoothing · mean) / (count + smoothing) of each key's targets.

    `mean` defaults to the target's mean over all rows. A training row gets the value of the rows in
    the other folds; its fold is drawn from `seed`, its chunk and its index in it.
    """

    takes = "categories"
    target: Source
    smoothing: float
    folds: int
    seed: int
    mean: float | None = None

    @property
    def also_reads(self) -> tuple[Source, ...]:
        return (self.target,)

    def accumulator(self, types: Sequence[ValueType]) -> TargetTotals:
        return TargetTotals(self.seed, self.folds)

    def fitted(self, accumulated: TargetTotals, target: Target) -> KeyedValue:
        sums = accumulated.sums()
        mean = self.mean_of(accumulated, target.output)
        values = self.smoothed(sums.count.sum(1), sums.total.sum(1), mean)
        return by_key(target, sums.keys, values, mean)

    def for_training_rows(
        self, accumulated: TargetTotals, fitted: Step, target: Target
    ) -> OutOfFold | None:
        """The step that gives a training row the value of the other folds; None without folds."""
        if self.folds < 2:
            return None
        sums, mean = accumulated.sums(), self.mean_of(accumulated, target.output)
        count = sums.count.sum(1, keepdims=True) - sums.count
        total = sums.total.sum(1, keepdims=True) - sums.total
        values = self.smoothed(count, total, mean)
        is_null = is_all_missing([part_values(p) for p in key_parts(sums.keys, target.types)])
        # The last two rows are for the missing key and for unseen keys.
        unseen = np.full((1, self.folds), mean)
        of_null = values[is_null] if is_null.any() else unseen
        by_row = np.concatenate([values[~is_null], of_null, unseen])
        return OutOfFold(cast(KeyedValue, fitted), by_row, self.seed)

    def smoothed(
        self, count: NDArray[np.float64], total: NDArray[np.float64], mean: float
    ) -> NDArray[np.float64]:
        """The values of keys with `count` targets that sum to `total`."""
        with np.errstate(invalid="ignore"):
            values = (total + self.smoothing * mean) / (count + self.smoothing)
        return np.where(np.isnan(values), mean, values)  # 0 / 0 without rows and smoothing

    def mean_of(self, accumulated: TargetTotals, output: str) -> float:
        """The given mean, or the target's mean over all rows."""
        if self.mean is not None:
            return self.mean
        if not accumulated.count or not np.isfinite(accumulated.total):
            raise DataError(
                f"Column {output!r}: the target is missing in every training row, or not "
                "finite, so it has no mean."
            )
        return accumulated.total / accumulated.count


def folds_of(seed: int, folds: int, chunk: int, rows: int) -> NDArray[np.int64]:
    """The fold of each row of a chunk, (rows,), drawn from the seed and the index of the chunk."""
    return np.random.default_rng([seed, chunk]).integers(0, folds, rows)


@dataclass(frozen=True, slots=True)
class FoldSums:
    """The number of targets of each key and fold, and their sum, (V, folds)."""

    keys: pa.Array
    count: NDArray[np.float64]
    total: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        keys: pa.Array,
        target_B: NDArray[np.float64],
        fold_B: NDArray[np.int64],
        folds: int,
    ) -> FoldSums:
        """The sums of a chunk, without the rows that have no target."""
        known_B = ~np.isnan(target_B)
        distinct_keys, index = distinct(keys.filter(pa.array(known_B)))
        cell = index * folds + fold_B[known_B]
        shape, size = (len(distinct_keys), folds), len(distinct_keys) * folds
        count = np.bincount(cell, minlength=size).astype(np.float64)
        total = np.bincount(cell, target_B[known_B], size).astype(np.float64, copy=False)
        return cls(distinct_keys, count.reshape(shape), total.reshape(shape))

    @classmethod
    def merged(cls, parts: Sequence[FoldSums]) -> FoldSums:
        """The sums of one or more parts."""
        keys, index = distinct_of_parts([part.keys for part in parts])
        shape, every = (len(keys), parts[0].count.shape[1]), np.concatenate(index)
        count, total = np.zeros(shape), np.zeros(shape)
        np.add.at(count, every, np.concatenate([part.count for part in parts]))
        np.add.at(total, every, np.concatenate([part.total for part in parts]))
        return cls(keys, count, total)


class TargetTotals(Accumulator):
    """The targets by key and fold, and over all rows: their number `count` and sum `total`."""

    def __init__(self, seed: int, folds: int) -> None:
        self.count = 0.0
        self.total = 0.0
        self._seed = seed
        self._folds = folds
        self._parts: list[FoldSums] = []

    def add(self, chunk: int, values: Sequence[Values]) -> None:
        *keys, target = values
        target_B = as_numbers(target)
        known_B = ~np.isnan(target_B)
        self.count += float(known_B.sum())
        self.total += float(target_B[known_B].sum())
        fold_B = folds_of(self._seed, self._folds, chunk, len(target_B))
        self._take([FoldSums.of(key_array(keys), target_B, fold_B, self._folds)])

    def merge(self, other: Self) -> None:
        self.count += other.count
        self.total += other.total
        self._take(other._parts)

    def sums(self) -> FoldSums:
        if len(self._parts) > 1:
            self._parts = [FoldSums.merged(self._parts)]
        return self._parts[0]

    def _take(self, parts: Sequence[FoldSums]) -> None:
        self._parts += parts
        if len(self._parts) > MAX_PARTS:
            self._parts = [FoldSums.merged(self._parts)]


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFold(Step):
    """Encodes training rows, so it is never in plan.json. Its inputs are the keys and the chunk.

    values: float64 (V + 2, folds), for the keys in the table of `keyed`, the missing key, and
    unseen keys.
    """

    keyed: KeyedValue
    values: NDArray[np.float64]
    seed: int

    def bind(self, tables: Tables) -> Apply:
        rows_of = self.keyed.rows_of(tables)

        def apply(*values: Values) -> NDArray[np.float64]:
            *keys, chunk_B = values
            if not len(chunk_B):
                return np.empty(0)
            chunk = int(cast("NDArray[np.int64]", chunk_B)[0])
            fold_B = folds_of(self.seed, self.values.shape[1], chunk, len(chunk_B))
            return self.values[rows_of(*keys), fold_B]

        return apply
