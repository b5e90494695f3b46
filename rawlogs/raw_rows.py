"""The raw rows of a table's file, a batch at a time, from text or Parquet."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.errors import DataError, nearest
from features.settings import Table
from rawlogs.blocks import BLOCK_BYTES, Block, decode, read_blocks
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


def _read_text(
    file: Path, table: Table, wanted: Sequence[str], block_bytes: int
) -> Iterator[RawRows]:
    names = None if table.header else list(table.columns)
    for position, raw in enumerate(read_blocks(file, block_bytes)):
        block = raw
        if position == 0 and block.text.startswith(_BYTE_ORDER_MARK):
            block = replace(block, text=block.text.removeprefix(_BYTE_ORDER_MARK))
        if names is None:
            names, block = _header(file, table, block)
            if names is None:
                continue
        faults: list[Fault] = []
        block = decode(block, table.encoding, faults)
        block = well_formed(block, len(names), table.separator, table.quote, faults)
        yield RawRows(_parse(block, table, names, wanted), block.numbers, faults)


def _header(file: Path, table: Table, block: Block) -> tuple[list[str] | None, Block]:
    """The names in the first line that is not blank, and the block behind it."""
    starts, ends = block.line_bounds()
    filled = np.flatnonzero(starts < ends)
    if len(filled) == 0:
        return None, block
    place = int(filled[0])
    line = block.text[starts[place] : ends[place]]
    number = int(block.numbers[place])
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
    return names, block.keep(np.arange(len(ends)) > place)


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
    parsed = pa_csv.read_csv(
        pa.BufferReader(block.text),
        pa_csv.ReadOptions(column_names=columns, block_size=len(block.text) + 1),
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
                frame = _frame(pa.Table.from_batches([batch])).select(wanted)
                numbers = np.arange(first, first + len(frame), dtype=np.int64)
                first += len(frame)
                yield RawRows(frame, numbers, [])
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{file}: cannot be read as Parquet: {reason}.") from None
