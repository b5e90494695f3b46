"""Target encoding: the smoothed mean of the target over the training rows with the same key."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.base.errors import DataError
from plumbline.columns.values import Values
from plumbline.features.lookup.tables import Tables
from plumbline.features.operators.keyed_value import KeyedValue, by_key
from plumbline.features.statistics.exact_sums import ExactSums
from plumbline.features.statistics.fields import COUNT, GROUP, Fields, sums_fields, sums_of_fields
from plumbline.features.statistics.keys import (
    KeyTable,
    Parts,
    distinct,
    distinct_of_parts,
    key_array,
)
from plumbline.features.statistics.states import KEY, integers, keys_of, sums_columns, sums_of
from plumbline.features.steps.cells import SUM, cells, no_cells
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import FitStep, KeptAccumulator, Target
from plumbline.features.steps.step import SEVERAL, Apply, Step, as_numbers
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
        mean = self.mean_of(sums, target.output)
        keys = accumulated.table(target.types)
        return by_key(target, keys, self.smoothed(*sums.by_key(), mean), mean)

    def for_training_rows(
        self, accumulated: TargetTotals, fitted: Step, target: Target
    ) -> OutOfFold | None:
        """The step that gives a training row the value of the other folds; None without folds."""
        if self.folds < 2:
            return None
        sums = accumulated.sums()
        mean = self.mean_of(sums, target.output)
        values = self.smoothed(*sums.out_of_fold(), mean)
        is_null = accumulated.table(target.types).is_null
        # The last two rows are for the missing key and for unseen keys.
        unseen = np.full((1, self.folds), mean)
        of_null = values[is_null] if is_null.any() else unseen
        by_row = np.concatenate([values[~is_null], of_null, unseen])
        return OutOfFold(cast(KeyedValue, fitted), by_row, self.seed)

    def smoothed(
        self, count: NDArray[Any], total: NDArray[np.float64], mean: float
    ) -> NDArray[np.float64]:
        """The values of keys with `count` targets that sum to `total`."""
        with np.errstate(invalid="ignore"):
            values = (total + self.smoothing * mean) / (count + self.smoothing)
        return np.where(np.isnan(values), mean, values)  # 0 / 0 without rows and smoothing

    def mean_of(self, sums: FoldSums, output: str) -> float:
        """The given mean, or the target's mean over all rows."""
        mean = sums.mean if self.mean is None else self.mean
        if not np.isfinite(mean):
            raise DataError(
                f"Column {output!r}: the target is missing in every training row, or not "
                "finite, so it has no mean."
            )
        return mean


def folds_of(seed: int, folds: int, chunk: int, rows: int) -> NDArray[np.int64]:
    """The fold of each row of a chunk, (rows,), drawn from the seed and the index of the chunk."""
    return np.random.default_rng([seed, chunk]).integers(0, folds, rows)


@dataclass(frozen=True, slots=True)
class FoldSums:
    """The number of targets of each key and fold, int64 (V, folds), and their V · folds sums."""

    keys: pa.Array
    count: NDArray[np.int64]
    sums: ExactSums

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
        size = len(distinct_keys) * folds
        count = np.bincount(cell, minlength=size).reshape(-1, folds)
        return cls(distinct_keys, count, ExactSums.of(target_B[known_B], cell, size))

    @classmethod
    def merged(cls, parts: Sequence[FoldSums], *, ascending: bool = False) -> FoldSums:
        """The sums of one or more parts; the keys may be sorted."""
        keys, index = distinct_of_parts([part.keys for part in parts], ascending=ascending)
        folds = parts[0].count.shape[1]
        count = np.zeros((len(keys), folds), np.int64)
        np.add.at(count, np.concatenate(index), np.concatenate([part.count for part in parts]))
        cells = [(at[:, None] * folds + np.arange(folds)).ravel() for at in index]
        return cls(keys, count, ExactSums.merged([p.sums for p in parts], cells, count.size))

    def cells(self) -> pa.Table:
        folds = self.count.shape[1]
        fields = [(COUNT, SUM, self.count.ravel()), *sums_fields(self.sums)]
        of_folds = (
            (GROUP * fold + field, operation, values[fold::folds])
            for fold in range(folds)
            for field, operation, values in fields
        )
        return cells(self.keys, of_folds)

    @classmethod
    def of_cells(cls, merged: pa.Table, folds: int) -> FoldSums:
        fields = Fields(merged)

        def read(field: int) -> NDArray[np.int64]:
            """A field of each key and fold, (V · folds,)."""
            by_fold = [fields(GROUP * fold + field) for fold in range(folds)]
            return np.stack(by_fold, axis=1).ravel()

        size = len(fields.keys) * folds
        numbers = {number % GROUP for number in fields.numbers}
        return cls(
            fields.keys, read(COUNT).reshape(-1, folds), sums_of_fields(1, size, numbers, read)
        )

    @property
    def mean(self) -> float:
        """The mean of all targets; NaN without one."""
        count = self.count.sum()
        return float(self.sums.joined(self.count.size).total()[0] / count) if count else math.nan

    def by_key(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The number and the sum of the targets of each key, (V,)."""
        return self.count.sum(1), self.sums.joined(self.count.shape[1]).total()

    def out_of_fold(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The number and the sum of the targets of each key in the other folds, (V, folds)."""
        others = self.count.sum(1, keepdims=True) - self.count
        return others, self.sums.others(self.count.shape[1]).total().reshape(self.count.shape)


class TargetTotals(KeptAccumulator):
    """The targets by key and fold."""

    def __init__(self, seed: int, folds: int) -> None:
        self._seed = seed
        self._folds = folds
        self._parts: Parts[FoldSums] = Parts()

    def add(self, chunk: int, values: Sequence[Values]) -> None:
        self.add_in_folds(folds_of(self._seed, self._folds, chunk, len(values[-1])), values)

    def add_in_folds(self, fold_B: NDArray[np.int64], values: Sequence[Values]) -> None:
        """Add rows of these folds."""
        *keys, target = values
        self._parts.add(FoldSums.of(key_array(keys), as_numbers(target), fold_B, self._folds))

    def merge(self, other: Self) -> None:
        self._parts.merge(other._parts)

    def state(self) -> pa.Table:
        sums = self.sums()
        counts = {f"rows {fold}": sums.count[:, fold] for fold in range(self._folds)}
        targets = sums_columns("sum", sums.sums, self._folds)
        return pa.table({KEY: sums.keys, **counts, **targets})

    def restore(self, state: pa.Table) -> None:
        counts = [integers(state, f"rows {fold}") for fold in range(self._folds)]
        sums = sums_of(state, "sum", 1, self._folds)
        self._parts.add(FoldSums(keys_of(state), np.stack(counts, axis=1), sums))

    def cells(self) -> pa.Table:
        return self.sums().cells() if self._parts else no_cells()

    def add_cells(self, merged: pa.Table) -> None:
        if len(merged):
            self._parts.add(FoldSums.of_cells(merged, self._folds))

    def sums(self) -> FoldSums:
        """The sums of all rows, with ascending keys."""
        return self._parts.total()

    def table(self, types: Sequence[ValueType]) -> KeyTable:
        """The keys of `sums`; call it after the last row."""
        return self._parts.table(types)


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFold(Step):
    """Encodes training rows, so it is never in plan.json. Its inputs are the keys and the chunk.

    values: float64 (V + 2, folds), for the keys in the table of `keyed`, the missing key, and
    unseen keys.
    """

    keyed: KeyedValue
    values: NDArray[np.float64]
    seed: int

    @property
    def arity(self) -> range:
        return SEVERAL

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
