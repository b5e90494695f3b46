"""Where scores go: a CSV or Parquet file that is there only when it is whole, or a stream.

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
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.errors import DataError
from serving.repository.interface import CLICK_PROBABILITY

SCHEMA = pa.schema([(CLICK_PROBABILITY, pa.float32())])


class ScoreOutput(ABC):
    """Takes scores in the order of their rows."""

    @abstractmethod
    def write(self, probability_B: NDArray[np.float32]) -> None: ...

    @abstractmethod
    def finish(self) -> None:
        """After the last scores."""


class CsvOutput(ScoreOutput):
    """One column with a header; each number in the fewest digits that give it back."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        stream.write(f"{CLICK_PROBABILITY}\n".encode())

    def write(self, probability_B: NDArray[np.float32]) -> None:
        lines = pa.BufferOutputStream()
        without_header = pa_csv.WriteOptions(include_header=False)
        pa_csv.write_csv(pa.table([pa.array(probability_B)], schema=SCHEMA), lines, without_header)
        self._stream.write(lines.getvalue())

    def finish(self) -> None:
        self._stream.flush()


class ParquetOutput(ScoreOutput):
    """One column; about a million rows a row group."""

    _GROUP_ROWS = 1 << 20

    def __init__(self, stream: BinaryIO) -> None:
        self._writer = pq.ParquetWriter(stream, SCHEMA)
        self._waiting: list[NDArray[np.float32]] = []
        self._rows = 0

    def write(self, probability_B: NDArray[np.float32]) -> None:
        self._waiting.append(probability_B)
        self._rows += len(probability_B)
        if self._rows >= self._GROUP_ROWS:
            self._write_group()

    def finish(self) -> None:
        self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        together = np.concatenate([*self._waiting, np.empty(0, np.float32)])
        self._writer.write_table(pa.table([pa.array(together)], schema=SCHEMA))
        self._waiting, self._rows = [], 0


_BY_SUFFIX = {".csv": CsvOutput, ".parquet": ParquetOutput}


def check_output(file: Path, force: bool, rows: Path) -> None:
    """Whether scores may go to `file`.

    Raises
    ------
    DataError
        Another ending than .csv or .parquet, a file that is there, or the file of the rows itself.
    """
    if file.suffix not in _BY_SUFFIX:
        raise DataError(f"{file}: wanted a name that ends in {' or '.join(_BY_SUFFIX)}.")
    if file.resolve() == rows.resolve():
        raise DataError(f"{file}: is the file of the rows. Choose another name for the scores.")
    if file.exists() and not force:
        raise DataError(f"{file}: is there already. Choose another name, or give --force.")


@contextmanager
def output_file(file: Path) -> Iterator[ScoreOutput]:
    """Scores for a file, which takes its name after the block; an error leaves nothing behind.

    Raises
    ------
    DataError
        The file cannot be written.
    """
    partial = file.with_name(file.name + ".partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as stream, _removed_after_error(partial):
            output: ScoreOutput = _BY_SUFFIX[file.suffix](stream)
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
