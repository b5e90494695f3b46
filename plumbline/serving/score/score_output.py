"""The output of scores: a stream, or a CSV or Parquet file that is complete or absent.

Legend: B rows.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from plumbline.base.errors import DataError
from plumbline.columns.from_arrow import frame_from_arrow
from plumbline.serving.contract.interface import CLICK_PROBABILITY

SCORE = pa.field(CLICK_PROBABILITY, pa.float32())


class ScoreOutput(ABC):
    """Writes scores in the order of rows, with the columns of --keep."""

    @abstractmethod
    def write(self, kept: pa.Table, probability_B: NDArray[np.float32]) -> None:
        """`kept` has the columns that the output was opened with, and as many rows."""

    @abstractmethod
    def finish(self) -> None:
        """Call this after the last scores."""


class CsvOutput(ScoreOutput):
    """CSV with a header. Numbers have the fewest digits that read back; missing values are empty.

    Raises
    ------
    DataError
        A column of --keep has values without a text form, such as lists.
    """

    def __init__(self, stream: BinaryIO, kept: pa.Schema) -> None:
        self._stream = stream
        text = [(field.name, _csv_type(field)) for field in kept]
        self._schema = pa.schema(text)
        self._write(pa.schema([*text, SCORE]).empty_table(), is_header=True)

    def write(self, kept: pa.Table, probability_B: NDArray[np.float32]) -> None:
        columns = [_as_text(kept[field.name], field) for field in self._schema]
        schema = pa.schema([*self._schema, SCORE])
        self._write(pa.table([*columns, pa.array(probability_B)], schema=schema))

    def finish(self) -> None:
        self._stream.flush()

    def _write(self, table: pa.Table, *, is_header: bool = False) -> None:
        frame = frame_from_arrow(table)
        lines = frame.write_csv(include_header=is_header, quote_style="necessary")
        self._stream.write(lines.encode())


def _csv_type(field: pa.Field) -> pa.DataType:
    """The type that is written: numbers and booleans unchanged, anything else as Arrow's text."""
    is_plain = (pa.types.is_integer, pa.types.is_float32, pa.types.is_float64, pa.types.is_boolean)
    if any(test(field.type) for test in is_plain):
        return field.type
    try:
        _text(pa.chunked_array([], field.type))
    except pa.ArrowException:
        raise DataError(
            f"--keep {field.name}: {field.type} has no form in CSV. Write Parquet (--out FILE"
            ".parquet)."
        ) from None
    return pa.large_string()


def _as_text(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    try:
        column.validate(full=True)  # Parquet may hold text that is not UTF-8
        return column if column.type == field.type else _text(column)
    except pa.ArrowException as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"--keep {field.name}: {column.type} has no form in CSV ({reason}). Write Parquet "
            "(--out FILE.parquet)."
        ) from None


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.large_string())


class ParquetOutput(ScoreOutput):
    """Parquet with about a million rows in a row group. Columns of --keep have their own types."""

    _GROUP_ROWS = 1 << 20

    def __init__(self, stream: BinaryIO, kept: pa.Schema) -> None:
        self._schema = pa.schema([*kept, SCORE])
        self._writer = pq.ParquetWriter(stream, self._schema)
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def write(self, kept: pa.Table, probability_B: NDArray[np.float32]) -> None:
        columns = [*kept.columns, pa.array(probability_B)]
        self._waiting.append(pa.table(columns, schema=self._schema))
        self._rows += len(probability_B)
        if self._rows >= self._GROUP_ROWS:
            self._write_group()

    def finish(self) -> None:
        self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        self._writer.write_table(pa.concat_tables([self._schema.empty_table(), *self._waiting]))
        self._waiting, self._rows = [], 0


_BY_SUFFIX = {".csv": CsvOutput, ".parquet": ParquetOutput}


def check_output(file: Path, force: bool, rows: Path) -> None:
    """Check that scores can be written to `file`.

    Raises
    ------
    DataError
        The suffix is not .csv or .parquet, the file exists, or it is the file of rows itself.
    """
    if file.suffix not in _BY_SUFFIX:
        raise DataError(f"{file}: wanted a name that ends in {' or '.join(_BY_SUFFIX)}.")
    if file.resolve() == rows.resolve():
        raise DataError(f"{file}: is the file of rows. Choose another name for the scores.")
    if file.exists() and not force:
        raise DataError(f"{file}: the file exists already. Choose another name, or give --force.")


@contextmanager
def output_file(file: Path, kept: pa.Schema) -> Iterator[ScoreOutput]:
    """An output file, which gets its name at the end of the block. After an error there is none.

    `kept` is the schema of the columns of --keep.

    Raises
    ------
    DataError
        The file cannot be written, or not with the columns of --keep.
    """
    partial = file.with_name(file.name + ".partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as stream, _removed_after_error(partial):
            output: ScoreOutput = _BY_SUFFIX[file.suffix](stream, kept)
            yield output
            output.finish()
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(file)
    except OSError as error:
        raise DataError(f"{file}: cannot be written ({error.strerror}).") from None


@contextmanager
def _removed_after_error(file: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        file.unlink(missing_ok=True)
        raise
