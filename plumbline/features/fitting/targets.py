"""Target encoding: the smoothed mean of the target over the rows that share a key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.base.errors import DataError
from plumbline.columns.keys import is_all_missing, part_values
from plumbline.columns.values import Values, take
from plumbline.features.fitting.accumulator import Accumulator, Target
from plumbline.features.fitting.groups import PARTS_AT_MOST, by_key, distinct, key_array, key_parts
from plumbline.features.lookup.tables import Tables
from plumbline.features.operators import KeyedValue, Step
from plumbline.features.operators.step import Apply, as_numbers
from plumbline.features.plan.chains import Source
from plumbline.features.plan.unfitted import FitTargetEncoding


def folds_of(seed: int, folds: int, chunk: int, rows: int) -> NDArray[np.int64]:
    """The fold of every row of a chunk, (rows,), drawn from the seed and the chunk's number."""
    return np.random.default_rng([seed, chunk]).integers(0, folds, rows)


@dataclass(frozen=True, slots=True)
class _Sums:
    """Of each key and fold, (V, folds): how many targets there are, and their sum."""

    keys: pa.Array
    count: NDArray[np.float64]
    total: NDArray[np.float64]

    @classmethod
    def merged(cls, parts: Sequence[_Sums]) -> _Sums:
        found, place = distinct(pa.concat_arrays([part.keys for part in parts]))
        shape = (len(found), parts[0].count.shape[1])
        count, total = np.zeros(shape), np.zeros(shape)
        np.add.at(count, place, np.concatenate([part.count for part in parts]))
        np.add.at(total, place, np.concatenate([part.total for part in parts]))
        return cls(found, count, total)


class TargetEncoding(Accumulator):
    """Learns the value of every key, and for training rows that of the rows in other folds."""

    def __init__(self, step: FitTargetEncoding, keys: tuple[Source, ...]) -> None:
        super().__init__((*keys, step.target))
        self._step = step
        self._parts: list[_Sums] = []
        self._count = 0.0
        self._total = 0.0
        self._common = 0.0
        """The target's mean over all rows."""

    def add(self, chunk: int, values: Sequence[Values]) -> None:
        *keys, target = values
        target_B = as_numbers(target)
        fold_B = folds_of(self._step.seed, self._step.folds, chunk, len(target_B))
        known_B = ~np.isnan(target_B)
        self._count += float(known_B.sum())
        self._total += float(target_B[known_B].sum())
        found, place_B = distinct(key_array([take(key, known_B) for key in keys]))
        cell_B = place_B * self._step.folds + fold_B[known_B]
        size = len(found) * self._step.folds
        count = np.bincount(cell_B, minlength=size).astype(np.float64)
        total = np.bincount(cell_B, target_B[known_B], size).astype(np.float64, copy=False)
        shape = (len(found), self._step.folds)
        self._parts.append(_Sums(found, count.reshape(shape), total.reshape(shape)))
        if len(self._parts) > PARTS_AT_MOST:
            self._parts = [_Sums.merged(self._parts)]

    def finish(self, target: Target) -> KeyedValue:
        self._parts = [_Sums.merged(self._parts)]
        (sums,) = self._parts
        self._common = self._mean(target)
        values = self._smoothed(sums.count.sum(1), sums.total.sum(1))
        return by_key(target, sums.keys, values, self._common)

    def for_training_rows(self, fitted: Step, target: Target) -> OutOfFold | None:
        """The step that gives a training row what the rows of the other folds say."""
        if self._step.folds < 2 or not isinstance(fitted, KeyedValue):
            return None
        (sums,) = self._parts
        count = sums.count.sum(1, keepdims=True) - sums.count
        total = sums.total.sum(1, keepdims=True) - sums.total
        values = self._smoothed(count, total)
        is_null = is_all_missing([part_values(p) for p in key_parts(sums.keys, target.types)])
        # Behind the keys of the table: the missing key, and the keys that no row has.
        of_null = values[is_null] if is_null.any() else np.full((1, self._step.folds), self._common)
        unseen = np.full((1, self._step.folds), self._common)
        return OutOfFold(
            fitted, np.concatenate([values[~is_null], of_null, unseen]), self._step.seed
        )

    def _smoothed(
        self, count: NDArray[np.float64], total: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        smoothing = self._step.smoothing
        with np.errstate(invalid="ignore"):
            values = (total + smoothing * self._common) / (count + smoothing)
        return np.where(np.isnan(values), self._common, values)  # 0 / 0: no row, no smoothing

    def _mean(self, target: Target) -> float:
        if self._step.mean is not None:
            return self._step.mean
        if not self._count or not np.isfinite(self._total):
            raise DataError(
                f"Column {target.output!r}: the target is missing in every training row, or not "
                "finite, so nothing can be encoded by it."
            )
        return self._total / self._count


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFold(Step):
    """For training rows only, so it has no form in plan.json: takes the keys and the chunk.

    values: float64 (V + 2, folds), of the keys in the table of `fitted`, of the missing key, and of
    a key that is not there.
    """

    fitted: KeyedValue
    values: NDArray[np.float64]
    seed: int

    def bind(self, tables: Tables) -> Apply:
        place_of = self.fitted.places(tables)

        def apply(*values: Values) -> NDArray[np.float64]:
            *keys, chunk_B = values
            if not len(chunk_B):
                return np.empty(0)
            chunk = int(cast("NDArray[np.int64]", chunk_B)[0])
            fold_B = folds_of(self.seed, self.values.shape[1], chunk, len(chunk_B))
            return self.values[place_of(*keys), fold_B]

        return apply
