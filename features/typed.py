"""The typed Parquet that the ingest writes and every engine reads: one schema, one reader."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.columns import CLICK, FeatureKind
from features.errors import DataError
from features.wire import NULL_INT64

ARROW_TYPES: Mapping[FeatureKind, pa.DataType] = {
    "continuous": pa.float32(),
    "integer": pa.int64(),
    "hex": pa.int64(),
    "string": pa.string(),
    "integer_list": pa.list_(pa.int64()),
    "hex_list": pa.list_(pa.int64()),
    "string_list": pa.list_(pa.string()),
}
CLICK_TYPE = pa.int8()

_LARGE = {
    pa.string(): pa.large_string(),
    pa.list_(pa.int64()): pa.large_list(pa.int64()),
    pa.list_(pa.string()): pa.large_list(pa.large_string()),
}


def typed_schema(kinds: Mapping[str, FeatureKind]) -> pa.Schema:
    """Every feature column in order, the click last."""
    fields = [(name, ARROW_TYPES[kind]) for name, kind in kinds.items()]
    return pa.schema([*fields, (CLICK, CLICK_TYPE)])


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


def _marks_to_nulls(column: pa.ChunkedArray) -> pa.ChunkedArray:
    marks = {pa.int64(): NULL_INT64, pa.string(): ""}
    if column.type not in marks:
        return column
    is_mark = pc.equal(column, pa.scalar(marks[column.type], column.type))
    return pc.if_else(is_mark, pa.scalar(None, column.type), column)
