"""The encoded files for Merlin: a plan's schema, and a data set in the order of its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from plumbline.base.device import Device
from plumbline.columns.kinds import CLICK
from plumbline.features.plan.plan import OutputColumn, Plan
from plumbline.nvtabular.library import (
    ColumnSchema,
    DataFrameDatasetEngine,
    Dataset,
    Schema,
    Tags,
    dask_frames,
    dtypes,
)
from plumbline.nvtabular.quiet import quiet


def merlin_schema(plan: Plan) -> Schema:
    """The plan's outputs in order, then the click, with the tags that Merlin Models needs."""
    click = ColumnSchema(CLICK, tags=[Tags.BINARY_CLASSIFICATION, Tags.TARGET], dtype=dtypes.int8)
    return Schema([*(_column(column) for column in plan.outputs), click])


def _column(column: OutputColumn) -> ColumnSchema:
    if not column.is_categorical:
        return ColumnSchema(column.name, tags=[Tags.CONTINUOUS], dtype=dtypes.float32)
    domain = {"min": 0, "max": column.cardinality - 1, "name": column.name}
    return ColumnSchema(
        column.name,
        tags=[Tags.CATEGORICAL],
        properties={"domain": domain},
        dtype=dtypes.int64,
        is_list=column.is_list,
        is_ragged=column.is_list,
    )


def merlin_dataset(files: Sequence[Path], plan: Plan, device: Device) -> Dataset:
    """Encoded Parquet files as one Merlin data set; partition i is files[i].

    Merlin sorts paths by name, which would undo a shuffle of the files, so the partitions are made
    here. Row counts are read from the files' metadata; Merlin would load every file to count.
    """
    schema = merlin_schema(plan)
    reader = _Reader(tuple(schema.column_names), device)
    rows = [pq.read_metadata(file).num_rows for file in files]
    with quiet():
        frame = dask_frames.from_map(reader, list(files), meta=reader(files[0]).iloc[:0])
        dataset = Dataset(frame, cpu=device == "cpu", schema=schema)
    dataset.engine = _OrderedFiles(frame, device, rows)
    return dataset


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one encoded file as a pandas (`cpu`) or cuDF (`cuda`) frame."""

    columns: tuple[str, ...]
    device: Device

    def __call__(self, file: Path) -> Any:
        if self.device == "cuda":
            import cudf

            return cudf.read_parquet(file, columns=list(self.columns))
        return pq.read_table(file, columns=list(self.columns)).to_pandas()


class _OrderedFiles(DataFrameDatasetEngine):
    """Partitions whose numbers of rows are known."""

    def __init__(self, frame: dask_frames.DataFrame, device: Device, rows: Sequence[int]) -> None:
        super().__init__(frame, cpu=device == "cpu")
        self._rows = list(rows)

    @property
    def _partition_lens(self) -> list[int]:
        return self._rows

    @property
    def num_rows(self) -> int:
        return sum(self._rows)
