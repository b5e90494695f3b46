"""Columns of a file that are written beside the scores, unchanged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from plumbline.base.errors import DataError
from plumbline.columns.parquet import read_batches
from plumbline.rawlogs.partitions import partition_values

_ROWS_AT_ONCE = 65_536


class KeptColumns:
    """Columns of Parquet files in their own types, read in batches of rows."""

    def __init__(self, files: Sequence[Path], names: Sequence[str]) -> None:
        self.schema = _schema(files[0], names)
        self._batches = self._read(files, names)
        self._rest = self.schema.empty_table()

    def take(self, rows: int) -> pa.Table:
        """The next rows.

        Raises
        ------
        DataError
            A file cannot be read, or its columns have other types than those of the first.
        """
        while len(self._rest) < rows:
            batch = next(self._batches, None)
            if batch is None:
                raise DataError(f"--keep: wanted {rows} more rows, got {len(self._rest)}.")
            self._rest = pa.concat_tables([self._rest, batch])
        taken, self._rest = self._rest.slice(0, rows), self._rest.slice(rows)
        return taken

    def _read(self, files: Sequence[Path], names: Sequence[str]) -> Iterator[pa.Table]:
        for file in files:
            if file.stat().st_size == 0:
                continue
            schema = _schema(file, names)
            if schema != self.schema:
                raise DataError(
                    f"{file}: {', '.join(names)} have other types than in {files[0]}. --keep takes "
                    "columns that are the same in all files."
                )
            try:
                with pq.ParquetFile(file) as parquet:
                    of_folders = {n: v for n, v in partition_values(file).items() if n in names}
                    read = [name for name in names if name not in of_folders]
                    for batch in read_batches(parquet, _ROWS_AT_ONCE, read):
                        yield self._table(batch, of_folders)
            except (pa.ArrowException, OSError) as error:
                reason = " ".join(str(error).split())
                raise DataError(f"{file}: cannot be read as Parquet: {reason}.") from None

    def _table(self, batch: pa.RecordBatch, of_folders: Mapping[str, str | None]) -> pa.Table:
        columns = [
            pa.repeat(pa.scalar(of_folders[name], pa.string()), len(batch))
            if name in of_folders
            else batch[name]
            for name in self.schema.names
        ]
        return pa.table(columns, schema=self.schema)


def _schema(file: Path, names: Sequence[str]) -> pa.Schema:
    found, of_folders = pq.read_schema(file), partition_values(file)
    return pa.schema([(n, pa.string() if n in of_folders else found.field(n).type) for n in names])
