"""The ingest's Parquet files as data frames, and transformed frames as Parquet files.

A file is a partition. Integers are read as pandas' nullable `Int64`, because int64 has no null and
float64 would round 64-bit ids; NVTabular keeps `Int64` exact in its group-by and its join. Missing
elements of lists become null marks (see `plumbline.columns.wire`), because neither pandas nor
NVTabular keeps a list of integers with nulls exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.base.device import Device
from plumbline.columns.kinds import CLICK, ELEMENT_KINDS, FeatureKind
from plumbline.columns.typed import read_typed, typed_schema, values_of
from plumbline.columns.values import Lists, Text, offsets_of
from plumbline.features.engine.part_files import write_part
from plumbline.nvtabular.library import ColumnSchema, Dataset, Schema, Tags, dask_frames, dtypes


def merlin_input_schema(kinds: Mapping[str, FeatureKind]) -> Schema:
    """The schema of the raw columns; without one, Merlin loads a partition to infer it.

    Columns are tagged, so that a workflow can select them by `Tags.CONTINUOUS`, `Tags.CATEGORICAL`
    and `Tags.TARGET`.
    """
    click = ColumnSchema(CLICK, dtype=dtypes.int8, tags=[Tags.BINARY_CLASSIFICATION, Tags.TARGET])
    return Schema([*(_input_column(name, kind) for name, kind in kinds.items()), click])


def _input_column(name: str, kind: FeatureKind) -> ColumnSchema:
    if kind == "continuous":
        return ColumnSchema(name, dtype=dtypes.float32, tags=[Tags.CONTINUOUS])
    if kind == "time":
        return ColumnSchema(name, dtype=dtypes.int64, tags=[Tags.TIME])
    element = ELEMENT_KINDS.get(kind, kind)
    return ColumnSchema(
        name,
        dtype=dtypes.string if element == "string" else dtypes.int64,
        tags=[Tags.CATEGORICAL],
        is_list=kind in ELEMENT_KINDS,
        is_ragged=kind in ELEMENT_KINDS,
    )


@dataclass(frozen=True, slots=True)
class FrameReader:
    """Reads one file as a pandas (`cpu`) or cuDF (`cuda`) frame, indexed from 0."""

    kinds: Mapping[str, FeatureKind]
    device: Device
    tell: Callable[[str], None] = field(default=lambda file: None, kw_only=True)
    """Called with each file that was read."""

    def __call__(self, file: Path) -> Any:
        frame = self.frame(read_typed(file, typed_schema(self.kinds)))
        self.tell(str(file))
        return frame

    def frame(self, table: pa.Table) -> Any:
        for index, column in enumerate(table.schema):
            if pa.types.is_list(column.type):
                table = table.set_column(index, column.name, _without_nulls(table[column.name]))
        if self.device == "cuda":
            import cudf

            return cudf.DataFrame.from_arrow(table)
        return table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)

    def dataset(self, files: Sequence[Path]) -> Dataset:
        """A lazy data set; partition i is files[i]."""
        meta = self.frame(typed_schema(self.kinds).empty_table())
        frame = dask_frames.from_map(self, list(files), meta=meta, enforce_metadata=False)
        return Dataset(frame, cpu=self.device == "cpu", schema=merlin_input_schema(self.kinds))


def _without_nulls(column: pa.ChunkedArray) -> pa.Array:
    """Missing lists become empty lists, and missing elements the wire's null marks."""
    lists = values_of(column)
    if not isinstance(lists, Lists):
        raise TypeError(f"wanted lists, got {column.type}")
    values = lists.values
    elements = values.to_arrow() if isinstance(values, Text) else pa.array(values)
    return pa.ListArray.from_arrays(
        pa.array(lists.offsets, pa.int32()), elements.cast(column.type.value_type)
    )


def write_encoded(frame: Any, file: Path, schema: pa.Schema, folder: Path) -> int:
    """Write a transformed frame in its row order. Returns the number of rows.

    The file is written in `folder`, under a name of its own, and renamed: several workers may write
    it if one of them was taken for dead.
    """
    columns = [
        _encoded(frame[name], type_) for name, type_ in zip(schema.names, schema.types, strict=True)
    ]
    write_part(pa.table(columns, schema=schema), file, folder / f"{uuid4().hex}.parquet")
    return len(frame)


def _encoded(column: Any, type_: pa.DataType) -> pa.Array:
    if pa.types.is_large_list(type_):
        host = column if isinstance(column, pd.Series) else column.to_pandas()
        lists = [np.asarray(ids) for ids in host]
        offsets = offsets_of(np.array([len(ids) for ids in lists], np.int64))
        values = np.concatenate([np.empty(0, _numpy_type(type_.value_type)), *lists])
        return pa.LargeListArray.from_arrays(
            pa.array(offsets), pa.array(values.astype(_numpy_type(type_.value_type)))
        )
    if type_ == pa.float32():
        return pa.array(_float32(column), type_)
    return pa.array(column.to_numpy().astype(_numpy_type(type_), copy=False), type_)


def _float32(column: Any) -> NDArray[np.float32]:
    """Numbers are rounded once, from float64: filled integers too."""
    host = column.to_numpy() if isinstance(column, pd.Series) else column.fillna(np.nan).to_numpy()
    with np.errstate(over="ignore"):  # numbers beyond float32 become infinite
        return np.asarray(host, np.float64).astype(np.float32)


def _numpy_type(type_: pa.DataType) -> np.dtype[Any]:
    return np.dtype(type_.to_pandas_dtype())
