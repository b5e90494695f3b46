"""Columns of a file that are passed through to the scores as they stand in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import DataError

_ROWS_AT_ONCE = 65_536


class KeptColumns:
    """Columns of Parquet files in their own types, taken a number of rows at a time."""

    def __init__(self, files: Sequence[Path], names: Sequence[str]) -> None:
        self.schema = _schema(files[0], names)
        self._batches = self._read(files, names)
        self._rest = self.schema.empty_table()

    def take(self, rows: int) -> pa.Table:
        """The next rows.

        Raises
        ------
        DataError
            A file cannot be read, or has the columns in other types than the first.
        """
        while len(self._rest) < rows:
            batch = next(self._batches, None)
            if batch is None:
                raise DataError(f"Wanted {rows} more rows to pass through, got {len(self._rest)}.")
            self._rest = pa.concat_tables([self._rest, batch])
        taken, self._rest = self._rest.slice(0, rows), self._rest.slice(rows)
        return taken

    def _read(self, files: Sequence[Path], names: Sequence[str]) -> Iterator[pa.Table]:
        for file in files:
            schema = _schema(file, names)
            if schema != self.schema:
                raise DataError(
                    f"{file}: has {', '.join(names)} in other types than {files[0]}. Pass through "
                    "columns that are the same in all files."
                )
            try:
                with pq.ParquetFile(file) as parquet:
                    for batch in parquet.iter_batches(_ROWS_AT_ONCE, columns=list(names)):
                        table = pa.Table.from_batches([batch]).select(list(names))
                        yield table.replace_schema_metadata(None)
            except (pa.ArrowException, OSError) as error:
                reason = " ".join(str(error).split())
                raise DataError(f"{file}: cannot be read as Parquet: {reason}.") from None


def _schema(file: Path, names: Sequence[str]) -> pa.Schema:
    found = pq.read_schema(file)
    return pa.schema([(name, found.field(name).type) for name in names])
