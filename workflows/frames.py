"""The ingest's Parquet files as data frames, one file a partition.

Nulls stay nulls, and integers stay integers: pandas' own int64 has no null, and its way out,
float64, would round 64-bit ids. Here they are pandas' nullable `Int64`, which NVTabular keeps exact
through its group-by and its join. The wire's null marks are nulls too (see `features.wire`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.columns import CLICK, FeatureKind
from features.device import Device
from features.errors import DataError
from features.wire import NULL_INT64
from workflows.library import ColumnSchema, Dataset, Schema, dtypes

ARROW_TYPES: dict[FeatureKind, pa.DataType] = {
    "continuous": pa.float32(),
    "integer": pa.int64(),
    "hex": pa.int64(),
    "string": pa.string(),
}
CLICK_TYPE = pa.int8()


def arrow_schema(kinds: Mapping[str, FeatureKind]) -> pa.Schema:
    """The typed columns as the ingest writes them, the click last."""
    fields = [(name, ARROW_TYPES[kind]) for name, kind in kinds.items()]
    return pa.schema([*fields, (CLICK, CLICK_TYPE)])


def merlin_input_schema(kinds: Mapping[str, FeatureKind]) -> Schema:
    """The same for Merlin, which would otherwise load a partition to find it out."""
    types = {"continuous": dtypes.float32, "string": dtypes.string}
    columns = [
        ColumnSchema(name, dtype=types.get(kind, dtypes.int64)) for name, kind in kinds.items()
    ]
    return Schema([*columns, ColumnSchema(CLICK, dtype=dtypes.int8)])


@dataclass(frozen=True, slots=True)
class FrameReader:
    """Reads one file as a pandas (`cpu`) or cuDF (`cuda`) frame, indexed from 0."""

    kinds: Mapping[str, FeatureKind]
    device: Device

    def __call__(self, file: Path) -> Any:
        return self.frame(read_typed(file, arrow_schema(self.kinds)))

    def frame(self, table: pa.Table) -> Any:
        if self.device == "cuda":
            import cudf

            return cudf.DataFrame.from_arrow(table)
        return table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)

    def dataset(self, files: Sequence[Path]) -> Dataset:
        """A lazy data set; partition i is files[i]."""
        meta = self.frame(arrow_schema(self.kinds).empty_table())
        frame = dd.from_map(self, list(files), meta=meta, enforce_metadata=False)
        return Dataset(frame, cpu=self.device == "cpu", schema=merlin_input_schema(self.kinds))


def read_typed(file: Path, schema: pa.Schema) -> pa.Table:
    """Columns of `schema` from a Parquet file, with the wire's null marks turned into nulls.

    Raises
    ------
    DataError
        A column is missing, or not of the type that the ingest writes.
    """
    check_types(file, schema)
    table = pq.read_table(file, columns=schema.names).cast(schema)
    columns = [_marks_to_nulls(table[name]) for name in schema.names]
    return pa.table(columns, schema=schema)


def check_types(file: Path, schema: pa.Schema) -> None:
    """Raises DataError where the file lacks a column of `schema`, or has it in another type."""
    found = pq.read_schema(file)
    for wanted in schema:
        if wanted.name not in found.names:
            raise DataError(
                f"{file}: wanted column {wanted.name!r}, found {', '.join(found.names)}. "
                "Run the ingest stage again."
            )
        came = found.field(wanted.name).type
        if came != wanted.type and came != _LARGE.get(wanted.type):
            raise DataError(
                f"{file}: wanted column {wanted.name!r} as {wanted.type}, found {came}. "
                "Run the ingest stage again."
            )


_LARGE = {pa.string(): pa.large_string()}


def _marks_to_nulls(column: pa.ChunkedArray) -> pa.ChunkedArray:
    marks = {pa.int64(): NULL_INT64, pa.string(): ""}
    if column.type not in marks:
        return column
    is_mark = pc.equal(column, pa.scalar(marks[column.type], column.type))
    return pc.if_else(is_mark, pa.scalar(None, column.type), column)


def write_encoded(frame: Any, file: Path, schema: pa.Schema) -> int:
    """Write a transformed frame in its row order; the file is whole or not there. Returns rows."""
    columns = [
        pa.array(frame[name].to_numpy().astype(_numpy_type(type_), copy=False), type_)
        for name, type_ in zip(schema.names, schema.types, strict=True)
    ]
    write_table(pa.table(columns, schema=schema), file)
    return len(frame)


def write_table(table: pa.Table, file: Path) -> None:
    """Zstandard-compressed; the file is whole or not there."""
    partial = file.with_name(file.name + ".partial")
    pq.write_table(table, partial, compression="zstd")
    partial.replace(file)


def _numpy_type(type_: pa.DataType) -> np.dtype[Any]:
    return np.dtype(type_.to_pandas_dtype())
