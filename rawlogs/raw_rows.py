"""The raw rows of a table's file, a batch at a time, from text or Parquet."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.errors import DataError, nearest
from features.exact import columns
from features.settings import Table
from rawlogs.blocks import BLOCK_BYTES, Block, RawBlock, decode, read_blocks
from rawlogs.fields import well_formed
from rawlogs.malformed import Fault

PARQUET_BATCH_ROWS = 65_536

_BYTE_ORDER_MARK = "\ufeff".encode()


@dataclass(frozen=True, slots=True)
class RawRows:
    """A batch as it stands in the file.

    `columns` holds the wanted columns; of a text file they are strings, empty text being null.
    numbers: int64 (rows,), the line (in Parquet the row) of each. `faults` are the batch's lines
    that could not be split into fields.
    """

    columns: pl.DataFrame
    numbers: NDArray[np.int64]
    faults: list[Fault]


def read_raw_rows(
    file: Path, table: Table, wanted: Sequence[str], block_bytes: int = BLOCK_BYTES
) -> Iterator[RawRows]:
    """Read the wanted columns; memory is bounded by the size of a block.

    Raises
    ------
    DataError
        The file cannot be read, or lacks a declared column.
    """
    if table.format == "parquet":
        return _read_parquet(file, table, wanted)
    return _read_text(file, table, wanted, block_bytes)


@dataclass(frozen=True, slots=True)
class TextBlock:
    """A block of a text file behind its header: every line is a row, blank and malformed ones too.

    `names` are the columns in the file's order, `first` is the number of the block's first line.
    """

    raw: RawBlock
    names: Sequence[str]
    first: int


def text_blocks(file: Path, table: Table, block_bytes: int = BLOCK_BYTES) -> Iterator[TextBlock]:
    """The blocks of a text file that may hold rows, the byte order mark and the header left out.

    `first` counts from 1 in the first block and again in each further one: counting lines takes
    as long as reading them, so it is left to where they are parsed.

    Raises
    ------
    DataError
        The file cannot be read, or its header lacks a declared column.
    """
    names = None if table.header else list(table.columns)
    skipped = 0
    for raw in read_blocks(file, block_bytes):
        if raw.start == 0 and raw.text.startswith(_BYTE_ORDER_MARK):
            raw = _behind(raw, len(_BYTE_ORDER_MARK))
        if names is None:
            names, lines, place = _header(file, table, raw, skipped + 1)
            skipped += lines
            raw = _behind(raw, place)
        if raw.text:
            yield TextBlock(raw, names or (), skipped + 1)
            skipped = 0


def parse_text(block: TextBlock, first: int, table: Table, wanted: Sequence[str]) -> RawRows:
    """The rows of a block whose first line has the number `first`."""
    faults: list[Fault] = []
    lines = decode(block.raw.numbered(first), table.encoding, faults)
    lines = well_formed(lines, len(block.names), table.separator, table.quote, faults)
    return RawRows(_parse(lines, table, block.names, wanted), lines.numbers, faults)


def _read_text(
    file: Path, table: Table, wanted: Sequence[str], block_bytes: int
) -> Iterator[RawRows]:
    first = 0
    for block in text_blocks(file, table, block_bytes):
        yield parse_text(block, first + block.first, table, wanted)
        first += block.first - 1 + block.raw.count_lines()


def _behind(raw: RawBlock, place: int) -> RawBlock:
    return RawBlock(raw.text[place:], raw.start + place)


def _header(
    file: Path, table: Table, raw: RawBlock, first: int
) -> tuple[list[str] | None, int, int]:
    """The names in the first line that is not blank; the lines up to it; the place behind it."""
    place, number = 0, first
    while place < len(raw.text):
        end = raw.text.index(b"\n", place)
        line = bytes(raw.text[place:end]).removesuffix(b"\r")
        place = end + 1
        if line:
            return _names(file, table, line, number), number - first + 1, place
        number += 1
    return None, number - first, place


def _names(file: Path, table: Table, line: bytes, number: int) -> list[str]:
    try:
        text = line.decode(table.encoding)
    except UnicodeDecodeError:
        raise DataError(
            f"{file}:{number}: wanted a header in {table.encoding}, found {line[:40]!r}."
        ) from None
    if table.quote is None:
        names = text.split(table.separator)
    else:
        names = next(csv.reader([text], delimiter=table.separator, quotechar=table.quote))
    _require_columns(file, table, names)
    return names


def _require_columns(file: Path, table: Table, names: Sequence[str]) -> None:
    for column in table.columns:
        if column not in names:
            hint = nearest(column, names)
            hint = f"; {hint}" if hint.startswith("did you mean") else ""
            raise DataError(f"{file}: no column {column!r} among {', '.join(names)}{hint}.")
        if names.count(column) > 1:
            raise DataError(f"{file}: the header names column {column!r} twice.")


def _parse(block: Block, table: Table, names: Sequence[str], wanted: Sequence[str]) -> pl.DataFrame:
    """The wanted columns of a well-formed block, as strings."""
    if not block.text:
        return pl.DataFrame(schema={name: pl.String for name in wanted})
    columns = [f"{position}" for position in range(len(names))]
    chosen = [columns[names.index(name)] for name in wanted]
    text = block.text
    if text.startswith(_BYTE_ORDER_MARK):  # here it is text, and Arrow leaves out the first one
        text = _BYTE_ORDER_MARK + text
    parsed = pa_csv.read_csv(
        pa.BufferReader(text),
        pa_csv.ReadOptions(column_names=columns, block_size=len(text) + 1),
        pa_csv.ParseOptions(
            delimiter=table.separator,
            quote_char=table.quote if table.quote is not None else False,
            ignore_empty_lines=False,
        ),
        pa_csv.ConvertOptions(
            include_columns=chosen,
            column_types={column: pa.string() for column in chosen},
            strings_can_be_null=True,
            null_values=[""],
            check_utf8=False,
        ),
    )
    return _frame(parsed.rename_columns(list(wanted)))


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    if not isinstance(frame, pl.DataFrame):
        raise TypeError(f"wanted a polars.DataFrame, got {type(frame).__name__}")
    return frame


def _read_parquet(file: Path, table: Table, wanted: Sequence[str]) -> Iterator[RawRows]:
    try:
        with pq.ParquetFile(file) as parquet:
            _require_columns(file, table, parquet.schema_arrow.names)
            first = 1
            for batch in parquet.iter_batches(PARQUET_BATCH_ROWS, columns=list(wanted)):
                frame = _frame(pa.Table.from_batches([batch])).select(columns(wanted))
                numbers = np.arange(first, first + len(frame), dtype=np.int64)
                first += len(frame)
                yield RawRows(frame, numbers, [])
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{file}: cannot be read as Parquet: {reason}.") from None
