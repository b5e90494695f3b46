"""The similarity of two columns by the features of their ids: NVTabular's ColumnSimilarity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from plumbline.base.errors import PlanError
from plumbline.base.file_names import file_name
from plumbline.base.files import file_sha256
from plumbline.base.json_fields import Count
from plumbline.columns.arrow_numbers import arrow_numbers
from plumbline.columns.values import offsets_of
from plumbline.features.lookup.tables import Tables
from plumbline.features.steps.fit_step import FitStep, NoRows, Target
from plumbline.features.steps.step import TWO, Apply, Step
from plumbline.features.steps.value_types import ValueType

_COLUMNS = {"row": pa.int64(), "column": pa.int64(), "value": pa.float64()}


@dataclass(frozen=True, slots=True)
class FeatureMatrix:
    """A sparse matrix of `rows` rows: its N entries by row, then by column, none of them twice.

    row: int64 (N,). column: int64 (N,). value: float64 (N,), finite.
    """

    rows: int
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    value: NDArray[np.float64]

    def sha256(self) -> str:
        digest = sha256(f"{self.rows} {len(self.row)} ".encode())
        for array in (self.row, self.column, self.value):
            digest.update(array.tobytes())
        return digest.hexdigest()


def similarity_of(left: FeatureMatrix, right: FeatureMatrix) -> Callable[..., NDArray[np.float64]]:
    """A function from row numbers of both, int64 (B,), to their inner products, float64 (B,).

    NaN if either is missing or no row of its matrix. Products are added by ascending column, so a
    result does not depend on the other rows.
    """
    width = 1 + max(left.column.max(initial=0), right.column.max(initial=0))
    key = right.row * width + right.column

    def similarities(left_B: NDArray[np.int64], right_B: NDArray[np.int64]) -> NDArray[np.float64]:
        known_B = (left_B >= 0) & (left_B < left.rows) & (right_B >= 0) & (right_B < right.rows)
        one_K, two_K = left_B[known_B], right_B[known_B]
        first_K = np.searchsorted(left.row, one_K)
        count_K = np.searchsorted(left.row, one_K, side="right") - first_K
        of_N = np.repeat(np.arange(len(one_K)), count_K)
        entry_N = np.arange(len(of_N)) + np.repeat(first_K - offsets_of(count_K)[:-1], count_K)
        wanted_N = two_K[of_N] * width + left.column[entry_N]
        found_N = np.searchsorted(key, wanted_N)
        shared_N = found_N < len(key)
        shared_N[shared_N] = key[found_N[shared_N]] == wanted_N[shared_N]
        products = left.value[entry_N[shared_N]] * right.value[found_N[shared_N]]
        result_B = np.full(len(left_B), np.nan)
        result_B[known_B] = np.bincount(of_N[shared_N], products, minlength=len(one_K))
        return result_B

    return similarities


@dataclass(frozen=True, slots=True)
class ColumnSimilarity(Step):
    """The inner product of two rows of features, given by two integers.

    `left` and `right` are the files of the entries, relative to the plan folder, and may be one
    file. The result is missing if an integer is missing or no row of its matrix.
    """

    op = "column_similarity"
    takes = "integers"
    left: str
    left_sha256: str
    left_rows: Count
    right: str
    right_sha256: str
    right_rows: Count

    @property
    def arity(self) -> range:
        return TWO

    def files(self) -> Mapping[str, str]:
        return {self.left: self.left_sha256, self.right: self.right_sha256}

    def bind(self, tables: Tables) -> Apply:
        tables.check(self.files())
        left = _read(tables, self.left, self.left_rows)
        right = _read(tables, self.right, self.right_rows)
        return similarity_of(left, right)


@dataclass(frozen=True, slots=True)
class FitSimilarity(FitStep[NoRows]):
    """Writes the matrices into the plan. Two steps are equal if their hashes are."""

    takes = "integers"
    reads_rows = False
    left_sha256: str
    right_sha256: str
    left: FeatureMatrix = field(compare=False, repr=False)
    right: FeatureMatrix = field(compare=False, repr=False)

    def accumulator(self, types: Sequence[ValueType]) -> NoRows:
        return NoRows()

    def fitted(self, accumulated: NoRows, target: Target) -> ColumnSimilarity:
        left = _write(target, "left", self.left)
        is_one = self.left_sha256 == self.right_sha256
        return ColumnSimilarity(*left, *(left if is_one else _write(target, "right", self.right)))


def _write(target: Target, side: str, matrix: FeatureMatrix) -> tuple[str, str, int]:
    """Write the entries; returns the file, its hash and the number of rows."""
    file = f"column_similarity/{file_name(f'{target.output} {side}')}.parquet"
    path: Path = target.folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = pa.table([matrix.row, matrix.column, matrix.value], names=list(_COLUMNS))
    pq.write_table(entries, path, compression="zstd")
    return file, file_sha256(path), matrix.rows


def _read(tables: Tables, file: str, rows: int) -> FeatureMatrix:
    row, column, value = map(arrow_numbers, tables.columns(file, _COLUMNS))
    width = 1 + int(column.max(initial=0))
    fits = rows * width < 2**63 and np.isfinite(value).all() and column.min(initial=0) >= 0
    fits = fits and (not len(row) or 0 <= row.min() <= row.max() < rows)
    if not fits or (np.diff(row * width + column) <= 0).any():
        raise PlanError.unreadable(
            file, f"wanted finite numbers of {rows} rows, by row and column, none of them twice"
        )
    return FeatureMatrix(rows, row, column, value)
