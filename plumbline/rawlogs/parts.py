"""Writes typed Parquet in parts of about half a million rows, and typed rows that wait for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from plumbline.columns.exact import columns
from plumbline.columns.from_arrow import frame_from_arrow

ROWS_PER_PART = 500_000
ROWS_PER_GROUP = 125_000


class TypedWriter:
    """Writes `folder/part-00000.parquet` and so on, from chunks of any size.

    Use it as a context manager: the exit writes the rows that are still in memory, at most one row
    group.
    """

    def __init__(
        self,
        folder: Path,
        schema: pa.Schema,
        rows_per_part: int = ROWS_PER_PART,
        rows_per_group: int = ROWS_PER_GROUP,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.rows = 0
        self._folder = folder
        self._schema = schema
        self._rows_per_part = rows_per_part
        self._rows_per_group = min(rows_per_group, rows_per_part)
        self._held: list[pa.Table] = []
        self._held_rows = 0
        self._written_rows = 0
        self._parts = 0
        self._writer: pq.ParquetWriter | None = None

    def write(self, frame: pl.DataFrame) -> None:
        """Columns are selected by name."""
        if len(frame) == 0:
            return
        self.rows += len(frame)
        self._held.append(frame.select(columns(self._schema.names)).to_arrow().cast(self._schema))
        self._held_rows += len(frame)
        while self._held_rows >= self._rows_per_group:
            self._write_group()

    def __enter__(self) -> TypedWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self._held_rows > 0:
            self._write_group()
        self._close()

    def _write_group(self) -> None:
        held = pa.concat_tables(self._held)
        group, rest = held.slice(0, self._rows_per_group), held.slice(self._rows_per_group)
        if self._writer is None:
            file = self._folder / f"part-{self._parts:05d}.parquet"
            self._writer = pq.ParquetWriter(file, self._schema, compression="zstd")
            self._parts += 1
        self._writer.write_table(group, row_group_size=len(group))
        self._held, self._held_rows = [rest], len(rest)
        self._written_rows += len(group)
        if self._written_rows >= self._rows_per_part:
            self._close()

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer, self._written_rows = None, 0


@dataclass(frozen=True, slots=True)
class TypedRows:
    """Typed rows that wait to be split, in one Arrow file that is mapped when needed."""

    path: Path
    file: int
    """Index of their file in the log."""
    rows: int

    @classmethod
    def write(cls, path: Path, file: int, frame: pl.DataFrame) -> TypedRows:
        table = frame.to_arrow()
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        return cls(path, file, len(frame))

    def read(self) -> pa.Table:
        """Memory-mapped: only the rows that are used are loaded."""
        with pa.memory_map(str(self.path)) as source:
            return pa.ipc.open_file(source).read_all()

    def frame(self) -> pl.DataFrame:
        return frame_from_arrow(self.read())
