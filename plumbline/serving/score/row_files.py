"""Read the rows of a file with the log's settings, and with the reader and rules of the ingest.

The label is ignored. A malformed row is an error, because every row gets a score.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from plumbline.base.errors import DataError
from plumbline.columns import exact
from plumbline.columns.kinds import FeatureKind
from plumbline.rawlogs.convert import convert
from plumbline.rawlogs.estimate import estimated_rows
from plumbline.rawlogs.malformed import Fault
from plumbline.rawlogs.partitions import partition_root
from plumbline.rawlogs.raw_rows import RawRows, read_raw_rows
from plumbline.rawlogs.sources import resolve_files
from plumbline.serving.contract.log_rules import LogRules
from plumbline.serving.score.kept import KeptColumns
from plumbline.serving.score.layout import Layout
from plumbline.serving.score.reading import ReadOptions
from plumbline.serving.score.sources import Joins
from plumbline.settings import Label, Log

BLOCK_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows: `rows` has the model's columns, typed; `kept` has those of --keep."""

    rows: pa.Table
    kept: pa.Table


class RowFile:
    """The rows of a file or of a folder of files, in order and in bounded memory.

    Parameters
    ----------
    path
        The file, or a folder, whose files are chosen as by the ingest.
    kinds
        The model's columns: name to kind.
    rules
        How the log was read; None if the model's config does not have it.
    options
        Settings that override it.
    keep
        Columns of the file to write beside the scores.
    tables
        Folder of the side tables; by default that of the file.
    chunk_rows
        The most rows of a chunk.

    Raises
    ------
    DataError
        There is no such file, it cannot be read, it lacks columns, or a side table is missing.
        While it is read: the first malformed line, with its number.
    """

    def __init__(
        self,
        path: Path,
        kinds: Mapping[str, FeatureKind],
        rules: LogRules | None,
        options: ReadOptions,
        chunk_rows: int,
        *,
        keep: Sequence[str] = (),
        tables: Path | None = None,
    ) -> None:
        self._files = tuple(file for file in _files(path, rules) if file.stat().st_size)
        first = self._files[0]
        self._kinds, self._keep, self._chunk_rows = kinds, tuple(keep), chunk_rows
        layout = Layout.of(first, kinds, rules, options, self._keep)
        self._sources, self._table = layout.sources, layout.table
        folder = tables if tables is not None else partition_root(first)
        self._joins = Joins.of(self._sources, rules, folder, tables is not None)
        self.warnings = self._joins.warnings
        self._has_one_column = layout.columns == 1
        self._is_parquet = self._table.format == "parquet"
        self._kept = KeptColumns(self._files, keep) if keep and self._is_parquet else None
        self._rows_read = 0
        self._rows_about = estimated_rows(self._table, self._files)

    @property
    def kept_schema(self) -> pa.Schema:
        """The schema of `keep`; columns of a text file are strings."""
        if self._kept is not None:
            return self._kept.schema
        return pa.schema([(name, pa.string()) for name in self._keep])

    @property
    def fraction_read(self) -> float:
        """An estimate, 0 to 1. It is slightly ahead of the yielded chunks."""
        return min(1.0, self._rows_read / max(1, self._rows_about or 1))

    def __iter__(self) -> Iterator[Chunk]:
        for file in self._files:
            rows, line = 0, 1 + self._table.header
            for raw in self._raw(file):
                line = self._line_after(file, raw, line)
                for chunk in self._chunks(file, raw):
                    rows += len(chunk.rows)
                    yield chunk
            self._check_count(file, rows)

    def _raw(self, file: Path) -> Iterator[RawRows]:
        from_text = () if self._kept is not None else self._keep
        wanted = tuple(dict.fromkeys((*self._sources.read, *from_text)))
        return read_raw_rows(file, self._table, wanted, BLOCK_BYTES)

    def _chunks(self, file: Path, raw: RawRows) -> Iterator[Chunk]:
        _refuse(file, raw.faults)
        typed, faults = convert(file, raw, self._sources.read, Label(), self._table)
        _refuse(file, faults)
        count = len(raw.numbers)
        if len(typed) != count:
            raise DataError(f"{file}: wanted {count} rows of a chunk, got {len(typed)}.")
        self._rows_read += count
        rows = self._joined(typed)
        kept = self._kept.take(count) if self._kept is not None else self._text(raw, count)
        for start in range(0, count, self._chunk_rows):
            part = slice(start, self._chunk_rows)
            yield Chunk(rows.slice(part.start, part.stop), kept.slice(part.start, part.stop))

    def _line_after(self, file: Path, raw: RawRows, line: int) -> int:
        """The line after the rows of a text file of one column; `line` is that of the first row.

        Raises
        ------
        DataError
            There is a blank line before a row; in such a file it may be a row itself.
        """
        if self._is_parquet or not self._has_one_column:
            return line
        inside = raw.columns.to_series().str.count_matches("\n", literal=True).fill_null(0)
        behind = raw.numbers + 1 + inside.to_numpy()
        wanted = np.concatenate([[line], behind[:-1]])
        blank = np.flatnonzero(raw.numbers != wanted)
        if blank.size:
            raise DataError(
                f"{file}:{wanted[blank[0]]}: a blank line in a file of one column, which may or "
                "may not be a row without a value. Remove it, or add a second column, such as the "
                "number of the row."
            )
        return int(behind[-1]) if behind.size else line

    def _joined(self, typed: pl.DataFrame) -> pa.Table:
        for table in self._joins.tables:
            typed, _ = table.join(typed)
        return typed.select(exact.columns(self._kinds)).to_arrow()

    def _text(self, raw: RawRows, count: int) -> pa.Table:
        columns = [raw.columns[name].cast(pl.String).to_arrow() for name in self._keep]
        return pa.table([c.cast(pa.string()) for c in columns], schema=self.kept_schema)

    def _check_count(self, file: Path, rows: int) -> None:
        """Raises DataError if rows were lost."""
        if not self._is_parquet:
            return
        wanted = pq.read_metadata(file).num_rows
        if rows != wanted:
            raise DataError(f"{file}: wanted its {wanted} rows, got {rows}.")


def _files(path: Path, rules: LogRules | None) -> tuple[Path, ...]:
    """The files of a folder: those that the log names, if they exist; else all but side tables."""
    log = rules.log if rules is not None else Log(columns={})
    if not path.is_dir():
        return resolve_files(log.model_copy(update={"files": ()}), [path])
    if log.files and all((path / name).is_file() for name in log.files):
        return resolve_files(log, [path])
    tables = {t.settings.file for t in rules.tables.values()} if rules is not None else set()
    found = resolve_files(log.model_copy(update={"files": ()}), [path])
    return tuple(file for file in found if file.name not in tables) or found


def _refuse(file: Path, faults: Sequence[Fault]) -> None:
    """Raises DataError for the first fault: leaving a row out would shift the other scores."""
    if faults:
        first = min(faults)
        advice = f": {first.advice}" if first.advice else ""
        raise DataError(
            f"{file}:{first.line}: {first.reason}. Every row gets a score, so none is skipped: "
            f"correct the row, or change how the file is read (--help){advice}."
        )
