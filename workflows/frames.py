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

from features.columns import CLICK, FeatureKind
from features.device import Device
from features.encoded import write_table
from features.typed import read_typed, typed_schema
from workflows.library import ColumnSchema, Dataset, Schema, dtypes


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
        return self.frame(read_typed(file, typed_schema(self.kinds)))

    def frame(self, table: pa.Table) -> Any:
        if self.device == "cuda":
            import cudf

            return cudf.DataFrame.from_arrow(table)
        return table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)

    def dataset(self, files: Sequence[Path]) -> Dataset:
        """A lazy data set; partition i is files[i]."""
        meta = self.frame(typed_schema(self.kinds).empty_table())
        frame = dd.from_map(self, list(files), meta=meta, enforce_metadata=False)
        return Dataset(frame, cpu=self.device == "cpu", schema=merlin_input_schema(self.kinds))


def write_encoded(frame: Any, file: Path, schema: pa.Schema) -> int:
    """Write a transformed frame in its row order; the file is whole or not there. Returns rows."""
    columns = [
        pa.array(frame[name].to_numpy().astype(_numpy_type(type_), copy=False), type_)
        for name, type_ in zip(schema.names, schema.types, strict=True)
    ]
    write_table(pa.table(columns, schema=schema), file)
    return len(frame)


def _numpy_type(type_: pa.DataType) -> np.dtype[Any]:
    return np.dtype(type_.to_pandas_dtype())
