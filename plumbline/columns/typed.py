"""The typed Parquet files that the ingest writes and the engines read: schema and reader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from plumbline.base.errors import DataError
from plumbline.columns.kinds import CLICK, FeatureKind
from plumbline.columns.rows import Chunk, Rows
from plumbline.columns.values import NULL_INT64, Lists, Text, Values

ARROW_TYPES: Mapping[FeatureKind, pa.DataType] = {
    "continuous": pa.float32(),
    "integer": pa.int64(),
    "boolean": pa.int64(),
    "hex": pa.int64(),
    "string": pa.string(),
    "integer_list": pa.list_(pa.int64()),
    "hex_list": pa.list_(pa.int64()),
    "string_list": pa.list_(pa.string()),
    "time": pa.int64(),
}
CLICK_TYPE = pa.int8()

_LARGE = {
    pa.string(): pa.large_string(),
    pa.list_(pa.int64()): pa.large_list(pa.int64()),
    pa.list_(pa.string()): pa.large_list(pa.large_string()),
}


def typed_schema(kinds: Mapping[str, FeatureKind]) -> pa.Schema:
    """The feature columns in order, then the click."""
    fields = [(name, ARROW_TYPES[kind]) for name, kind in kinds.items()]
    return pa.schema([*fields, (CLICK, CLICK_TYPE)])


def read_typed(file: Path, schema: pa.Schema) -> pa.Table:
    """Read the columns of `schema` from a Parquet file; null marks become nulls.

    Raises
    ------
    DataError
        A column is missing, or has another type than the ingest writes.
    """
    check_types(file, schema)
    table = pq.read_table(file, columns=schema.names).cast(schema)
    columns = [_marks_to_nulls(table[name]) for name in schema.names]
    return pa.table(columns, schema=schema)


def check_types(file: Path, schema: pa.Schema) -> None:
    """Raise DataError if the file lacks a column of `schema`, or has it in another type."""
    actual = pq.read_schema(file)
    for wanted in schema:
        if wanted.name not in actual.names:
            raise DataError(
                f"{file}: wanted column {wanted.name!r}, found {', '.join(actual.names)}. "
                "Run the ingest stage again."
            )
        got = actual.field(wanted.name).type
        if got != wanted.type and got != _LARGE.get(wanted.type):
            raise DataError(
                f"{file}: wanted column {wanted.name!r} as {wanted.type}, found {got}. "
                "Run the ingest stage again."
            )


def _marks_to_nulls(column: pa.ChunkedArray) -> pa.ChunkedArray:
    marks = {pa.int64(): NULL_INT64, pa.string(): ""}
    if column.type not in marks:
        return column
    is_mark = pc.equal(column, pa.scalar(marks[column.type], column.type))
    # With a null scalar, Arrow 22 damages the strings of a chunk that is a slice.
    return pc.if_else(is_mark, pa.nulls(len(column), column.type), column)


@dataclass(frozen=True, slots=True)
class TypedParquet:
    """A `RowSource` of typed Parquet: a folder of `part-*.parquet` files per split."""

    folders: Mapping[str, Path]
    kinds: Mapping[str, FeatureKind]

    @property
    def splits(self) -> dict[str, int]:
        return {
            split: sum(_metadata(file).num_rows for file in part_files(split, folder))
            for split, folder in self.folders.items()
        }

    def chunks(self, split: str) -> Iterator[Chunk]:
        """The row groups of the split's files."""
        schema = typed_schema(self.kinds)
        for file in part_files(split, self.folders[split]):
            check_types(file, schema)
            for group in range(_metadata(file).num_row_groups):
                yield partial(_read_group, file, group, self.kinds)


def _metadata(file: Path) -> pq.FileMetaData:
    try:
        return pq.read_metadata(file)
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{file}: wanted a Parquet file of stage ingest, but it is damaged ({error}). "
            "Run the ingest stage again."
        ) from None


def part_files(split: str, folder: Path) -> list[Path]:
    """The files of a split in order; raises DataError if there are none."""
    files = sorted(folder.glob("part-*.parquet"))
    if not files:
        raise DataError(
            f"{folder}: wanted files part-*.parquet of split {split!r}, found none. "
            "Run the ingest stage again."
        )
    return files


def _read_group(file: Path, group: int, kinds: Mapping[str, FeatureKind]) -> Rows:
    with pq.ParquetFile(file) as parquet:
        table = parquet.read_row_group(group, columns=[*kinds, CLICK], use_threads=False)
    columns = {name: values_of(table[name]) for name in kinds}
    return Rows(columns, np.asarray(table[CLICK], dtype=np.int8))


def values_of(column: pa.ChunkedArray) -> Values:
    """The values of a typed column; missing values may be nulls or null marks."""
    array = column
    if isinstance(column, pa.ChunkedArray):
        # A single chunk is not combined: that would copy it, and fails on Polars' empty lists.
        array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # the chunks were too large to combine
        array = pa.concat_arrays(array.chunks)
    type_ = array.type
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        if array.null_count:
            array = array.fill_null([])
        offsets = np.asarray(array.offsets, dtype=np.int64)
        return Lists(_elements(array.flatten()), offsets - offsets[0])
    if pa.types.is_floating(type_):
        return np.asarray(array.fill_null(float("nan")) if array.null_count else array)
    return _elements(array)


def _elements(array: pa.Array) -> NDArray[np.int64] | Text:
    if pa.types.is_integer(array.type):
        filled = array.fill_null(NULL_INT64) if array.null_count else array
        return np.asarray(filled, dtype=np.int64)
    return Text.from_arrow(array)
