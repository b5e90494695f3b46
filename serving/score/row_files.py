"""Rows from a file, piece by piece: CSV and its kin, plain or compressed, and Parquet.

The kind of file is told by its first bytes, not by its name.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from features.errors import DataError
from features.wire import WireColumns

_PARQUET = b"PAR1"
_COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2"}
_BLOCK_BYTES = 4 << 20
_LONGEST_HEADER = 1 << 20


@dataclass(frozen=True, slots=True)
class TextForm:
    """What a text file does not tell of itself.

    `delimiter` is a comma unless given, or a tab in a file with `.tsv` in its name. `columns` names
    the columns of a file without a header line. `list_separator` stands between the elements of a
    list; None where the file has no lists.
    """

    delimiter: str | None = None
    columns: tuple[str, ...] | None = None
    list_separator: str | None = None


class RowFile:
    """The rows of a file in their order, in bounded memory; only the wanted columns are read.

    Parameters
    ----------
    file
        The file.
    wanted
        The columns that the model wants; they have the types that it wants.
    form
        How to read a text file.
    piece_rows
        Rows of a piece at most.

    Raises
    ------
    DataError
        There is no such file, it is not readable as what it is, or lacks columns. While it is
        read: a line with another number of fields, or a value of another type.
    """

    def __init__(self, file: Path, wanted: WireColumns, form: TextForm, piece_rows: int) -> None:
        self._file, self._wanted, self._form = file, wanted, form
        self._piece_rows = piece_rows
        self._open = ExitStack()
        self._columns: tuple[str, ...] = ()
        self._position: Callable[[], int] = lambda: 0
        try:
            start = _first_bytes(file)
            self._pieces = self._parquet() if start.startswith(_PARQUET) else self._text(start)
        except BaseException:
            self.close()
            raise

    @property
    def fraction_read(self) -> float:
        """0 to 1; a little ahead of the pieces given."""
        return float(self._position() / max(1, self.size))

    def __iter__(self) -> Iterator[pa.Table]:
        try:
            yield from self._pieces
        except (pa.ArrowException, OSError, EOFError) as error:
            raise DataError(f"{self._file}: {self._with_name(error)}") from None

    def close(self) -> None:
        self._open.close()

    def _parquet(self) -> Iterator[pa.Table]:
        try:
            parquet = self._open.enter_context(pq.ParquetFile(self._file))
        except pa.ArrowException as error:
            raise DataError(f"{self._file}: not a Parquet file ({_one_line(error)}).") from None
        if self._form != TextForm():
            raise DataError(
                f"{self._file}: a Parquet file tells of its columns and lists by itself. "
                "Leave out what says how to read a text file (delimiter, columns, lists)."
            )
        self._check_columns(parquet.schema_arrow.names)
        self.size = parquet.metadata.num_rows
        return self._batches_of(parquet)

    def _batches_of(self, parquet: Any) -> Iterator[pa.Table]:
        done = 0
        self._position = lambda: done
        for batch in parquet.iter_batches(self._piece_rows, columns=list(self._wanted.names)):
            done += batch.num_rows
            yield self._with_integers(pa.Table.from_batches([batch]))

    def _with_integers(self, table: pa.Table) -> pa.Table:
        """Whole numbers may stand as floats: pandas keeps integers with missing values so."""
        for name in self._wanted.integer:
            if pa.types.is_floating(table[name].type):
                try:
                    whole = table[name].cast(pa.int64())
                except pa.ArrowInvalid as error:
                    raise pa.ArrowInvalid(f"Column {name!r}: {error}") from None
                table = table.set_column(table.column_names.index(name), name, whole)
        return table

    def _text(self, start: bytes) -> Iterator[pa.Table]:
        compression = next((c for mark, c in _COMPRESSIONS.items() if start.startswith(mark)), None)
        columns = self._form.columns
        delimiter = self._form.delimiter or ("\t" if ".tsv" in self._file.suffixes else ",")
        found = columns or _header(self._file, compression, delimiter)
        self._check_columns(found)
        self._columns = tuple(found)
        if self._form.list_separator is None and self._lists:
            raise DataError(
                f"{self._file}: the model wants lists in {', '.join(self._lists)}. Name the "
                "character between a list's elements (--list-separator), or use Parquet."
            )
        raw = self._open.enter_context(self._file.open("rb"))
        self._position = raw.tell
        self.size = self._file.stat().st_size
        try:
            reader = pa_csv.open_csv(
                pa.input_stream(raw, compression),
                # In threads it would not tell the number of a line that it cannot read.
                pa_csv.ReadOptions(
                    use_threads=False, block_size=_BLOCK_BYTES, column_names=columns
                ),
                pa_csv.ParseOptions(
                    delimiter=delimiter,
                    ignore_empty_lines=len(found) > 1,  # of one column it is a row without a value
                ),
                pa_csv.ConvertOptions(
                    column_types=self._text_types(),
                    include_columns=self._wanted.names,
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            )
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{self._file}: {self._with_name(error)}") from None
        return self._pieces_of(self._open.enter_context(reader))

    def _pieces_of(self, reader: Any) -> Iterator[pa.Table]:
        for batch in reader:
            table = self._with_lists(pa.Table.from_batches([batch]))
            for start in range(0, len(table), self._piece_rows):
                yield table.slice(start, self._piece_rows)

    def _with_name(self, error: BaseException) -> str:
        """The column's name in the place of its number."""

        def named(match: re.Match[str]) -> str:
            return f"Column {self._columns[int(match[1])]!r}"

        return re.sub(r"In CSV column #(\d+)", named, _one_line(error))

    def _check_columns(self, found: Sequence[str]) -> None:
        lacking = [name for name in self._wanted.names if name not in found]
        if lacking:
            raise DataError(
                f"{self._file}: the model wants columns that the file lacks: {', '.join(lacking)}. "
                f"It has {', '.join(found) or 'no columns'}."
            )
        twice = [name for name in self._wanted.names if found.count(name) > 1]
        if twice:
            raise DataError(f"{self._file}: more than one column is called {', '.join(twice)}.")

    @property
    def _lists(self) -> tuple[str, ...]:
        return (*self._wanted.integer_list, *self._wanted.string_list)

    def _text_types(self) -> dict[str, pa.DataType]:
        """A hex column and a list are text until they are taken apart."""
        types = dict.fromkeys(self._wanted.names, pa.string())
        types |= dict.fromkeys(self._wanted.continuous, pa.float64())
        for name in self._wanted.integer:
            if name not in self._wanted.hexadecimal:
                types[name] = pa.int64()
        return types

    def _with_lists(self, table: pa.Table) -> pa.Table:
        for name in self._lists:
            lists = pc.split_pattern(table[name].combine_chunks(), self._form.list_separator)
            if name in self._wanted.integer_list and name not in self._wanted.hexadecimal:
                lists = _of_integers(name, lists)
            table = table.set_column(table.column_names.index(name), name, lists)
        return table


def _of_integers(name: str, lists: Any) -> Any:
    """Lists of text as lists of integers; an empty text is null, and a null list is empty."""
    texts = lists.values
    try:
        numbers = pc.if_else(pc.equal(texts, ""), None, texts).cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise pa.ArrowInvalid(f"Column {name!r}: {error}") from None
    return pa.ListArray.from_arrays(lists.offsets, numbers)


def _first_bytes(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(4)
    except OSError as error:
        raise DataError(f"{file}: wanted a CSV or Parquet file ({error.strerror}).") from None


def _header(file: Path, compression: str | None, delimiter: str) -> list[str]:
    try:
        with file.open("rb") as raw:
            stream = io.BufferedReader(pa.input_stream(raw, compression))
            line = stream.readline(_LONGEST_HEADER).decode("utf-8-sig")
            return next(csv.reader([line], delimiter=delimiter), [])
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{file}: its header line cannot be read as text ({_one_line(error)})."
        ) from None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
