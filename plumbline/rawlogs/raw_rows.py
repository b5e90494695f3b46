"""Reads the raw rows of a table's file in batches, from text or Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from plumbline.base.errors import DataError
from plumbline.columns.exact import columns
from plumbline.columns.parquet import read_batches
from plumbline.columns.value_rules.arrow_types import TypeRefused, simple
from plumbline.rawlogs.malformed import Fault
from plumbline.rawlogs.partitions import partition_values
from plumbline.rawlogs.text.blocks import BLOCK_BYTES, BYTE_ORDER_MARK, TextBlock, read_blocks
from plumbline.rawlogs.text.decoding import decoded_rows
from plumbline.rawlogs.text.fields import field_texts, split_fields
from plumbline.rawlogs.text.file_types import (
    START_BYTES,
    OtherFormat,
    compression_of,
    other_format,
)
from plumbline.rawlogs.text.headers import misquoted, require_columns, require_separator, setting
from plumbline.rawlogs.text.quoting import Dialect, first_row
from plumbline.rawlogs.text.streams import TextFormat
from plumbline.settings import Table

PARQUET_BATCH_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class RawRows:
    """A batch of rows, untyped.

    columns: the wanted columns; those of a text file or of `key=value` folders are strings, with
    null for empty text. numbers: int64 (rows,), the line on which each row begins (in Parquet the
    row). faults: the lines that could not be split into fields.
    """

    columns: pl.DataFrame
    numbers: NDArray[np.int64]
    faults: list[Fault]


def read_raw_rows(
    file: Path, table: Table, wanted: Sequence[str], block_bytes: int = BLOCK_BYTES
) -> Iterator[RawRows]:
    """Read the wanted columns; memory is bounded by the size of a block.

    A column may be in the `key=value` folders above the file; the folder's value is used then, even
    if the file has a column of that name.

    Raises
    ------
    DataError
        The file cannot be read, or lacks a declared column.
    """
    if table.format == "parquet":
        return _read_parquet(file, table, wanted)
    return _read_text(file, table, wanted, block_bytes)


def text_blocks(file: Path, table: Table, block_bytes: int = BLOCK_BYTES) -> Iterator[TextBlock]:
    """The blocks of a text file, without the byte order mark and the header.

    `first` counts from 1 in every block: counting lines takes as long as reading them, so the
    parser does it, in its threads.

    Raises
    ------
    DataError
        The file cannot be read, or its header lacks a declared column.
    """
    text_format, dialect = TextFormat.of(file, table), Dialect.of(table)
    constants = declared_constants(file, table)
    names: list[str] | None = None
    skipped = 0
    for block in read_blocks(file, text_format, dialect, block_bytes):
        size = len(block.text)
        if block.start == 0 and block.text.startswith(BYTE_ORDER_MARK):
            block = block.part(len(BYTE_ORDER_MARK), size)
        if names is None:
            header = _first_row(file, table, text_format, dialect, block, skipped + 1)
            if header is not None:
                names = _names(file, table, constants, header)
            if table.header or names is None:
                end = len(block.text) if header is None else header.end
                skipped += block.text.count(b"\n", 0, end)
                block = block.part(end, size)
        if block.text:
            yield replace(
                block,
                names=names or (),
                first=skipped + 1,
                encoding=text_format.encoding,
                constants=constants,
            )
            skipped = 0


def parse_text(block: TextBlock, first: int, table: Table, wanted: Sequence[str]) -> RawRows:
    """The rows of a block; `first` is the number of its first line."""
    faults: list[Fault] = []
    dialect = Dialect.of(table)
    encoding = block.encoding or table.encoding
    rows = decoded_rows(block.text, first, encoding, table.encoding, dialect, faults)
    fields = split_fields(rows, len(block.names), dialect, faults)
    found = [
        fields.column(block.names.index(name)).alias(name)
        for name in wanted
        if name not in block.constants
    ]
    frame = pl.DataFrame(found, height=len(fields.rows)).with_columns(
        _literals(block.constants, wanted)
    )
    return RawRows(frame.select(columns(wanted)), fields.rows.numbers, faults)


def _literals(constants: Mapping[str, str | None], wanted: Sequence[str]) -> list[pl.Expr]:
    return [
        pl.lit(value, pl.String).alias(name) for name, value in constants.items() if name in wanted
    ]


def declared_constants(file: Path, table: Table) -> dict[str, str | None]:
    """The table's columns that are in the `key=value` folders above the file, with their values."""
    return {name: value for name, value in partition_values(file).items() if name in table.columns}


def column_names(file: Path, table: Table) -> tuple[str, ...]:
    """The columns of the file itself; none if a text file has no header.

    Raises
    ------
    DataError
        The file cannot be read, or lacks a declared column.
    """
    if table.format == "parquet":
        return tuple(_parquet_names(file, table))
    if not table.header:
        return ()
    return tuple(next((block.names for block in text_blocks(file, table)), ()))


def undeclared_columns(files: Sequence[Path], table: Table) -> tuple[str, ...]:
    """The columns of the first file with names that the table does not declare."""
    names = next((found for file in files if (found := column_names(file, table))), ())
    return tuple(name for name in names if name not in table.columns)


def _read_text(
    file: Path, table: Table, wanted: Sequence[str], block_bytes: int
) -> Iterator[RawRows]:
    first = 0
    for block in text_blocks(file, table, block_bytes):
        yield parse_text(block, first + block.first, table, wanted)
        first += block.first - 1 + block.count_lines()


@dataclass(frozen=True, slots=True)
class _FirstRow:
    """A file's first row that is not blank; `end` is the offset of the next one in the block."""

    line: str
    fields: list[str]
    end: int


def _first_row(
    file: Path,
    table: Table,
    text_format: TextFormat,
    dialect: Dialect,
    block: TextBlock,
    first: int,
) -> _FirstRow | None:
    """None if all lines are blank; `first` is the number of the first line."""
    start = 0
    while start < len(block.text):
        end, fault = first_row(block.text, start, dialect)
        line = bytes(block.text[start : end + 1])
        if line.strip(b"\r\n"):
            break
        start, first = end + 1, first + 1
    else:
        return None
    faults: list[Fault] = []
    rows = decoded_rows(line, first, text_format.encoding, table.encoding, dialect, faults)
    text = line.decode(text_format.encoding, "replace").rstrip("\r\n")
    if not table.header and (fault is not None or faults):
        return _FirstRow(text, [], end + 1)
    if faults:
        raise DataError(
            f"{file}:{first}: wanted a header in {table.encoding}, found {line[:40]!r}: "
            f"{setting(table, 'encoding')} names the encoding."
        )
    if fault is not None:
        raise misquoted(file, table, text, first, fault)
    fields = field_texts(rows, dialect)
    if not fields and "\r" in text and table.header:
        raise DataError(
            f"{file}:{first}: the header has a carriage return: some lines end in one, others in a "
            "line feed. Use one kind of line end."
        )
    return _FirstRow(text, fields, end + 1)


def _names(
    file: Path, table: Table, constants: Mapping[str, str | None], first: _FirstRow
) -> list[str]:
    if not table.header:
        require_separator(file, table, first.fields, first.line)
        return [name for name in table.columns if name not in constants]
    require_columns(file, table, [*first.fields, *(constants.keys() - {*first.fields})], first.line)
    return first.fields


def _column(file: Path, name: str, values: pa.Array) -> pl.Series:
    """The column in a type that Polars can read."""
    try:
        return pl.Series(name, simple(name, pa.chunked_array([values])))
    except TypeRefused as error:
        raise DataError(f"{file}: {error}.") from None


def _read_parquet(file: Path, table: Table, wanted: Sequence[str]) -> Iterator[RawRows]:
    constants = declared_constants(file, table)
    if not _parquet_names(file, table):
        return
    read = [name for name in wanted if name not in constants]
    literals = _literals(constants, wanted)
    first = 1
    try:
        with pq.ParquetFile(file) as parquet:
            for batch in read_batches(parquet, PARQUET_BATCH_ROWS, read):
                found = [_column(file, name, batch[name]) for name in read]
                frame = pl.DataFrame(found, height=len(batch)).with_columns(literals)
                numbers = np.arange(first, first + len(batch), dtype=np.int64)
                first += len(batch)
                yield RawRows(frame.select(columns(wanted)), numbers, [])
    except (pa.ArrowException, OSError) as error:
        raise _unreadable_parquet(file, error) from None


def _parquet_names(file: Path, table: Table) -> list[str]:
    """The file's columns; none if it is empty."""
    start = _first_bytes(file)
    if not start:
        return []
    if not start.startswith(b"PAR1"):
        raise _not_parquet(file, table, start)
    try:
        with pq.ParquetFile(file) as parquet:
            names: list[str] = parquet.schema_arrow.names
    except (pa.ArrowException, OSError) as error:
        raise _unreadable_parquet(file, error) from None
    constants = declared_constants(file, table).keys()
    require_columns(file, table, [*names, *(constants - {*names})])
    return names


def _first_bytes(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(START_BYTES)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}.") from None


def _not_parquet(file: Path, table: Table, start: bytes) -> DataError:
    """An error with the file's actual format."""
    as_text, compression = f"set {setting(table, 'format')}: csv", compression_of(start)
    found = other_format(file, start) or OtherFormat("something else", f"{as_text} if it is text")
    if compression is not None:
        found = OtherFormat(f"packed with {compression}", f"{as_text} if it is text, or unpack it")
    return DataError(f"{file}: cannot be read as Parquet: it is {found.name}: {found.advice}.")


def _unreadable_parquet(file: Path, error: Exception) -> DataError:
    reason = " ".join(str(error).split())
    if "Expected all lists to be of size" in reason:
        reason = (
            "a column of fixed-size lists has nulls, which Arrow cannot read back: write it as "
            "lists"
        )
    return DataError(f"{file}: cannot be read as Parquet: {reason}.")
