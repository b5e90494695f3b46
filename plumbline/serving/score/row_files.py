"""The rows of a file, read as the log was read: by the reader and the rules of the ingest.

The label is left aside, and a row that cannot be used is an error, since each row gets a score.
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
from plumbline.rawlogs.estimate import estimated_rows
from plumbline.rawlogs.malformed import Fault
from plumbline.rawlogs.partitions import partition_root
from plumbline.rawlogs.raw_rows import RawRows, read_raw_rows
from plumbline.rawlogs.sources import resolve_files
from plumbline.rawlogs.values import convert
from plumbline.serving.contract.log_rules import LogRules
from plumbline.serving.score.kept import KeptColumns
from plumbline.serving.score.layout import Layout
from plumbline.serving.score.reading import ReadOptions
from plumbline.serving.score.sources import Joins
from plumbline.settings import Label, Log

BLOCK_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows in a file's order: `rows` are the model's columns, typed; `kept` those passed on."""

    rows: pa.Table
    kept: pa.Table


class RowFile:
    """The rows of a file, or of a folder of files, in their order and in bounded memory.

    Parameters
    ----------
    path
        The file, or a folder whose files are taken as the ingest takes them.
    kinds
        The model's columns, name to kind.
    rules
        How the log was read; None for a model whose export did not say.
    options
        What is to be read otherwise.
    keep
        Columns of the file that are passed through.
    tables
        Folder of the side tables; beside the file unless given.
    piece_rows
        Rows of a piece at most.

    Raises
    ------
    DataError
        There is no such file, it is not readable as what it is, or lacks columns; a side table is
        not there. While it is read: the first line that is malformed, with its place.
    """

    def __init__(
        self,
        path: Path,
        kinds: Mapping[str, FeatureKind],
        rules: LogRules | None,
        options: ReadOptions,
        piece_rows: int,
        *,
        keep: Sequence[str] = (),
        tables: Path | None = None,
    ) -> None:
        self._files = tuple(file for file in _files(path, rules) if file.stat().st_size)
        first = self._files[0]
        self._kinds, self._keep, self._piece_rows = kinds, tuple(keep), piece_rows
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
        """Of the columns that are passed through; those of text are strings."""
        if self._kept is not None:
            return self._kept.schema
        return pa.schema([(name, pa.string()) for name in self._keep])

    @property
    def fraction_read(self) -> float:
        """0 to 1, about; a little ahead of the pieces given."""
        return min(1.0, self._rows_read / max(1, self._rows_about or 1))

    def __iter__(self) -> Iterator[Piece]:
        for file in self._files:
            rows, line = 0, 1 + self._table.header
            for raw in self._raw(file):
                line = self._line_behind(file, raw, line)
                for piece in self._pieces(file, raw):
                    rows += len(piece.rows)
                    yield piece
            self._check_count(file, rows)

    def _raw(self, file: Path) -> Iterator[RawRows]:
        from_text = () if self._kept is not None else self._keep
        wanted = tuple(dict.fromkeys((*self._sources.read, *from_text)))
        return read_raw_rows(file, self._table, wanted, BLOCK_BYTES)

    def _pieces(self, file: Path, raw: RawRows) -> Iterator[Piece]:
        _refuse(file, raw.faults)
        typed, faults = convert(file, raw, self._sources.read, Label(), self._table)
        _refuse(file, faults)
        count = len(raw.numbers)
        if len(typed) != count:
            raise DataError(f"{file}: wanted {count} rows of a piece, got {len(typed)}.")
        self._rows_read += count
        rows = self._joined(typed)
        kept = self._kept.take(count) if self._kept is not None else self._text(raw, count)
        for start in range(0, count, self._piece_rows):
            part = slice(start, self._piece_rows)
            yield Piece(rows.slice(part.start, part.stop), kept.slice(part.start, part.stop))

    def _line_behind(self, file: Path, raw: RawRows, line: int) -> int:
        """The line behind the rows of a text file of one column; `line` is that of the first.

        Raises
        ------
        DataError
            There is a blank line before a row: in such a file it may be a row itself.
        """
        if self._is_parquet or not self._has_one_column:
            return line
        inside = raw.columns.to_series().str.count_matches("\n", literal=True).fill_null(0)
        behind = raw.numbers + 1 + inside.to_numpy()
        wanted = np.concatenate([[line], behind[:-1]])
        blank = np.flatnonzero(raw.numbers != wanted)
        if blank.size:
            raise DataError(
                f"{file}:{wanted[blank[0]]}: a blank line in a file of one column, which may be a "
                "row without a value, or no row. Remove it, or add a second column, such as a "
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
        """Raises DataError where rows were lost on the way."""
        if not self._is_parquet:
            return
        wanted = pq.read_metadata(file).num_rows
        if rows != wanted:
            raise DataError(f"{file}: holds {wanted} rows, and {rows} were read.")


def _files(path: Path, rules: LogRules | None) -> tuple[Path, ...]:
    """Of a folder the files that the log names, where they are there; else all but side tables."""
    log = rules.log if rules is not None else Log(columns={})
    if not path.is_dir():
        return resolve_files(log.model_copy(update={"files": ()}), [path])
    if log.files and all((path / name).is_file() for name in log.files):
        return resolve_files(log, [path])
    tables = {t.settings.file for t in rules.tables.values()} if rules is not None else set()
    found = resolve_files(log.model_copy(update={"files": ()}), [path])
    return tuple(file for file in found if file.name not in tables) or found


def _refuse(file: Path, faults: Sequence[Fault]) -> None:
    """Raises DataError for the first fault: a row without a score would shift all others."""
    if faults:
        first = min(faults)
        advice = f": {first.advice}" if first.advice else ""
        raise DataError(
            f"{file}:{first.line}: {first.reason}. Every row gets a score, so none is passed over: "
            f"correct the row, or say how the file is read (--help){advice}."
        )
