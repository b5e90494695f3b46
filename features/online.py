"""The plan's online executor: arrays in, arrays out, one request at a time.

NumPy form: a sorted look-up for integers, a hash table for strings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.errors import PlanError
from features.plan import OutputColumn, Plan
from features.steps.categorify import NULL_ID, OUT_OF_VOCABULARY_ID
from features.vocabulary import Vocabulary
from features.wire import (
    CATEGORICAL_BYTES,
    CATEGORICAL_INT64,
    CONTINUOUS,
    NULL_BYTES,
    NULL_INT64,
    Tensors,
    WireColumns,
)


@dataclass(frozen=True, slots=True)
class Encoded:
    """ids_BF: int64 (B, F); dense_BC: float32 (B, C); both in plan order."""

    ids_BF: NDArray[np.int64]
    dense_BC: NDArray[np.float32]


class OnlineExecutor:
    """Runs a fitted plan on wire tensors (see `features.wire`); safe to share between threads."""

    def __init__(self, plan: Plan) -> None:
        self.columns = WireColumns.of({column.name: column.kind for column in plan.inputs})
        self._categorical = [(column, _lookup(plan, column)) for column in plan.categorical]
        self._continuous = plan.continuous

    def transform(self, tensors: Tensors) -> Encoded:
        """Encode raw rows.

        Raises
        ------
        PlanError
            A tensor is missing, unexpected, or has the wrong width or dtype.
        """
        rows = self._check(tensors)
        ids_BF = np.empty((rows, len(self._categorical)), np.int64)
        for position, (column, lookup) in enumerate(self._categorical):
            ids_BF[:, position] = lookup(self._raw(tensors, column.source))
        dense_BC = np.empty((rows, len(self._continuous)), np.float32)
        for position, column in enumerate(self._continuous):
            values_B = self._raw(tensors, column.source).astype(np.float64)
            for step in column.float_steps:
                values_B = step.apply(values_B)
            with np.errstate(over="ignore"):  # beyond float32 is infinite
                dense_BC[:, position] = values_B
        return Encoded(ids_BF, dense_BC)

    def _raw(self, tensors: Tensors, source: str) -> NDArray[np.generic]:
        for tensor, names, _ in self._wanted():
            if source in names:
                return tensors[tensor][:, names.index(source)]
        raise PlanError.columns_differ({source}, ())

    def _wanted(self) -> tuple[tuple[str, tuple[str, ...], type[np.generic]], ...]:
        return (
            (CONTINUOUS, self.columns.continuous, np.float32),
            (CATEGORICAL_INT64, self.columns.integer, np.int64),
            (CATEGORICAL_BYTES, self.columns.string, np.object_),
        )

    def _check(self, tensors: Tensors) -> int:
        wanted = {tensor for tensor, names, _ in self._wanted() if names}
        if set(tensors) != wanted:
            raise PlanError.columns_differ(wanted - set(tensors), set(tensors) - wanted)
        for name, names, dtype in self._wanted():
            if names and (tensors[name].ndim != 2 or tensors[name].shape[1] != len(names)):
                came = str(tensors[name].shape)
                raise PlanError.wrong_type(name, f"shape (rows, {len(names)})", f"shape {came}")
            if names and tensors[name].dtype != dtype:
                raise PlanError.wrong_type(name, np.dtype(dtype).name, str(tensors[name].dtype))
        rows = {len(tensor) for tensor in tensors.values()}
        if len(rows) != 1:
            raise PlanError(
                f"All tensors of a request need one number of rows, got {sorted(rows)}."
            )
        return rows.pop()


class _IntegerLookup:
    """Binary search in the sorted values."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        values = vocabulary.value.to_numpy(zero_copy_only=False).astype(np.int64)
        order = np.argsort(values, kind="stable")
        self._values = values[order]
        self._ids = vocabulary.id.to_numpy().astype(np.int64)[order]

    def __call__(self, values_B: NDArray[np.generic]) -> NDArray[np.int64]:
        if len(self._values) == 0:
            found_B = np.zeros(len(values_B), bool)
            ids_B = np.empty(len(values_B), np.int64)
        else:
            place_B = np.minimum(np.searchsorted(self._values, values_B), len(self._values) - 1)
            found_B = self._values[place_B] == values_B
            ids_B = self._ids[place_B]
        ids_B = np.where(found_B, ids_B, OUT_OF_VOCABULARY_ID)
        return np.where(values_B == NULL_INT64, NULL_ID, ids_B)


class _StringLookup:
    """A hash table from UTF-8 bytes to id."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        values = vocabulary.value.cast(pa.binary()).to_pylist()
        self._ids = dict(zip(values, vocabulary.id.to_pylist(), strict=True))
        self._ids[NULL_BYTES] = NULL_ID

    def __call__(self, values_B: NDArray[np.generic]) -> NDArray[np.int64]:
        found = [self._ids.get(value, OUT_OF_VOCABULARY_ID) for value in values_B.tolist()]
        return np.array(found, np.int64)


def _lookup(plan: Plan, column: OutputColumn) -> _IntegerLookup | _StringLookup:
    vocabulary = plan.vocabulary(column)
    is_string = plan.kind(column.source) == "string"
    return _StringLookup(vocabulary) if is_string else _IntegerLookup(vocabulary)
