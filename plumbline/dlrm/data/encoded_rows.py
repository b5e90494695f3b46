"""Encoded Parquet columns, checked and converted to row-major arrays.

Legend: B rows, F columns with one id a row, C continuous columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from plumbline.base.errors import DataError
from plumbline.columns.kinds import CLICK
from plumbline.columns.values import Lists, offsets_of
from plumbline.dlrm.data.loader import Batch
from plumbline.dlrm.model.architecture import Architecture

ENCODED_AS = {
    pa.int64(): (pa.int64(), pa.int32()),
    pa.float32(): (pa.float32(),),
    pa.int8(): (pa.int8(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.bool_()),
    pa.list_(pa.int64()): (
        pa.list_(pa.int64()),
        pa.list_(pa.int32()),
        pa.large_list(pa.int64()),
        pa.large_list(pa.int32()),
    ),
}
"""File types that are accepted for each type in memory: ids are written in the narrowest type that
fits, and clicks may be any number."""


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """ids_BF int32 or int64, dense_BC and click_B float32; the list columns in plan order.

    The ids of a row are contiguous, so gathering rows in any order runs at memory speed.
    """

    ids_BF: NDArray[Any]
    dense_BC: NDArray[np.float32]
    click_B: NDArray[np.float32]
    bags: tuple[Lists, ...]

    def batch(self, rows_B: NDArray[np.int64]) -> Batch:
        """Copies of the rows with these indices, in this order."""
        bags = [bag.take(rows_B) for bag in self.bags]
        return Batch(
            torch.from_numpy(self.ids_BF.take(rows_B, axis=0).astype(np.int64, copy=False)),
            torch.from_numpy(self.dense_BC.take(rows_B, axis=0)),
            torch.from_numpy(self.click_B.take(rows_B)),
            tuple((torch.from_numpy(bag.values), torch.from_numpy(bag.offsets)) for bag in bags),
        )

    def gather(
        self,
        rows_B: NDArray[np.int64],
        ids_BF: NDArray[Any],
        dense_BC: NDArray[np.float32],
        click_B: NDArray[np.float32],
    ) -> None:
        """Write the rows with these indices, in this order, into arrays of these dtypes."""
        for values, out in zip(
            (self.ids_BF, self.dense_BC, self.click_B), (ids_BF, dense_BC, click_B), strict=True
        ):
            values.take(rows_B, axis=0, out=out, mode="clip")  # "raise" would write a copy first


class EncodedColumns:
    """The columns of encoded files that a model and its label need."""

    def __init__(self, architecture: Architecture) -> None:
        self._architecture = architecture
        self.names = [*architecture.categorical, *architecture.continuous, CLICK]

    def has_wide_ids(self, file: Path, schema: pa.Schema) -> bool:
        """Whether an id of a column with one id a row may need 64 bits.

        Raises DataError where the file lacks a column.
        """
        check_columns(file, schema, self.names)
        types = [schema.field(name).type for name in self._architecture.single]
        return any(type_ != pa.int32() for type_ in types)

    def has_wide_lists(self, schema: pa.Schema) -> bool:
        """Whether an id of a list column may need 64 bits."""
        types = [schema.field(name).type for name in self._architecture.bags]
        return any(getattr(type_, "value_type", None) != pa.int32() for type_ in types)

    def empty(self, count: int, wide_ids: bool) -> EncodedRows:
        """Uninitialised arrays for `count` rows, without lists."""
        single, continuous = self._architecture.single, self._architecture.continuous
        return EncodedRows(
            np.empty((count, len(single)), np.int64 if wide_ids else np.int32),
            np.empty((count, len(continuous)), np.float32),
            np.empty(count, np.float32),
            (),
        )

    def empty_lists(self, count: int) -> list[Lists]:
        """An empty list in each of `count` rows, for every list column."""
        return [
            Lists(np.empty(0, np.int64), np.zeros(count + 1, np.int64))
            for _ in self._architecture.bags
        ]

    def fill(
        self, rows: EncodedRows, start: int, parts: Iterable[tuple[Path, pa.RecordBatch]]
    ) -> list[list[Lists]]:
        """Write the parts into `rows` from row `start` on; returns each part's list columns.

        Each part comes with its file. Parts of other rows may be written by other threads.

        Raises
        ------
        DataError
            A column has nulls or another type than the plan gives.
        """
        lists = []
        for file, part in parts:
            at = slice(start, start + len(part))
            for column, name in enumerate(self._architecture.single):
                rows.ids_BF[at, column] = _numbers(file, part, name, pa.int64())
            for column, name in enumerate(self._architecture.continuous):
                rows.dense_BC[at, column] = _numbers(file, part, name, pa.float32())
            rows.click_B[at] = _numbers(file, part, CLICK, pa.int8())
            lists.append([_lists(file, part, name) for name in self._architecture.bags])
            start = at.stop
        return lists


def check_columns(file: Path, schema: pa.Schema, names: Sequence[str]) -> None:
    """Raises DataError where the file lacks one of the columns."""
    missing = [name for name in names if name not in schema.names]
    if missing:
        raise DataError(
            f"{file}: wanted the encoded columns of the model, but {', '.join(missing)} "
            "is missing. Run the etl stage again."
        )


@contextmanager
def readable(file: Path) -> Iterator[None]:
    """Inside, pyarrow's error about an unreadable file becomes a DataError with its name."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{file}: not readable as Parquet ({error}). Run the etl stage again."
        ) from (error)


def _numbers(file: Path, part: pa.RecordBatch, name: str, type_: pa.DataType) -> NDArray[Any]:
    values: NDArray[Any] = _column(file, part, name, type_).to_numpy(zero_copy_only=False)
    return values


def _lists(file: Path, part: pa.RecordBatch, name: str) -> Lists:
    column = _column(file, part, name, pa.list_(pa.int64()))
    ids = pc.list_flatten(column)
    _require_whole(file, name, "lists of int64", ids)
    lengths = np.asarray(pc.list_value_length(column), np.int64)
    return Lists(np.asarray(ids, np.int64), offsets_of(lengths))


def _column(file: Path, part: pa.RecordBatch, name: str, type_: pa.DataType) -> pa.Array:
    column = part.column(name)
    wanted = "lists of int64" if pa.types.is_list(type_) else str(type_)
    if column.type not in ENCODED_AS[type_]:
        raise DataError(_does_not_fit(file, name, wanted, column))
    _require_whole(file, name, wanted, column)
    return column


def _require_whole(file: Path, name: str, wanted: str, values: pa.Array) -> None:
    if values.null_count:
        raise DataError(_does_not_fit(file, name, wanted, values))


def _does_not_fit(file: Path, name: str, wanted: str, got: pa.Array) -> str:
    return (
        f"{file}: column {name!r}: wanted {wanted} without nulls, got {got.type} with "
        f"{got.null_count} nulls. Run the etl stage again."
    )
