"""The look-up files of a plan folder: a Parquet file of keys and values, and an index of its keys.

Files are checked against their hashes first. Equal indexes, such as those of all statistics of one
key, are loaded once. An index is memory-mapped (`plumbline.features.lookup.index`), so processes
that serve the same plan share its pages.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from plumbline.base.errors import PlanError
from plumbline.base.files import file_sha256, require_sha256
from plumbline.base.inside import file_inside
from plumbline.base.read_ahead import THREADS
from plumbline.columns.arrow_numbers import arrow_numbers
from plumbline.columns.keys import pack, part_values
from plumbline.columns.parquet import read_columns
from plumbline.columns.values import Text, Values
from plumbline.features.lookup.index import (
    IntegerIndex,
    TextIndex,
    build_integer_index,
    build_text_index,
    open_index,
)

VALUE = "value"
"""The name of the value column in a file of values by key."""


@dataclass(frozen=True, slots=True)
class Positions:
    """Maps keys of one or more columns to their row in the Parquet file, or -1."""

    index: IntegerIndex | TextIndex

    def require_keys(self, file: str, are_text: Sequence[bool]) -> None:
        """Raises PlanError, naming the index of `file`, if these keys cannot be looked up."""
        if isinstance(self.index, IntegerIndex) and list(are_text) != [False]:
            keys = ", ".join("text" if is_text else "integers" for is_text in are_text)
            reason = f"an index of integers cannot have keys of {keys}"
            raise PlanError.unreadable(index_of(file), reason)

    def __call__(self, *keys: Values) -> NDArray[np.int64]:
        """Rows, int64 (B,). An index of text also takes several columns, of any type."""
        if isinstance(self.index, TextIndex):
            is_text = len(keys) == 1 and isinstance(keys[0], Text)
            text = keys[0] if is_text else pack(keys)
            if not isinstance(text, Text):
                raise TypeError("wanted text")
            return self.index.positions(text)
        (integers,) = keys
        if not isinstance(integers, np.ndarray):
            raise TypeError(f"wanted integers, got {type(integers).__name__}")
        return self.index.positions(integers)


class Tables:
    """The look-up files of a plan folder, checked and loaded on first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._checked: set[str] = set()
        self._loaded: dict[str, Positions] = {}

    def check(self, files: Mapping[str, str]) -> None:
        """Check files against their SHA-256 in parallel, unless they were checked before.

        Raises
        ------
        PlanError
            A file is missing or was changed.
        """
        unchecked = {file: sha for file, sha in files.items() if file not in self._checked}
        if not unchecked:
            return
        paths = [file_inside(self._folder, file, PlanError) for file in unchecked]
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(require_sha256, paths, unchecked.values(), repeat(PlanError)):
                pass
        self._checked.update(unchecked)

    def positions(self, file: str, sha256: str, index_sha256: str) -> Positions:
        """Load the index of a file; raises PlanError if either is missing or was changed."""
        index = index_of(file)
        self.check({file: sha256, index: index_sha256})
        if index_sha256 not in self._loaded:
            self._loaded[index_sha256] = Positions(open_index(self._folder / index))
        return self._loaded[index_sha256]

    def numbers(self, file: str, rows: int) -> NDArray[np.float64]:
        """The value column of a checked file, float64 (rows,); raises PlanError as `columns`."""
        (values,) = self.columns(file, {VALUE: pa.float64()}, rows)
        return arrow_numbers(values)

    def keys(self, file: str, rows: int, *, is_text: bool) -> Values:
        """The value column of a checked file, integers or text (rows,); raises as `columns`."""
        (values,) = self.columns(file, {VALUE: pa.string() if is_text else pa.int64()}, rows)
        return part_values(values)

    def columns(
        self, file: str, types: Mapping[str, pa.DataType], rows: int | None = None
    ) -> list[pa.Array]:
        """These columns of a checked file. Only integers and text may be missing.

        Raises
        ------
        PlanError
            It is not a Parquet file with columns of these types, or does not have `rows` rows.
        """
        wanted = pa.schema(types)
        with parquet_of(self._folder / file, rows) as parquet:
            got = parquet.schema_arrow
            if any(name not in got.names or got.field(name).type != types[name] for name in types):
                reason = f"wanted {_shown(wanted)}, found {_shown(got)}"
                raise PlanError.unreadable(file, reason)
            table = read_columns(parquet, types)
        arrays = [table[name].combine_chunks() for name in types]
        if any(pa.types.is_floating(array.type) and array.null_count for array in arrays):
            raise PlanError.unreadable(file, "wanted numbers, none of them null")
        return arrays


NO_TABLES = Tables(Path())
"""For steps without files."""


@contextmanager
def parquet_of(file: Path, rows: int | None) -> Iterator[pq.ParquetFile]:
    """A Parquet file of a plan; `rows` of None accepts any number of rows.

    Raises
    ------
    PlanError
        The file is missing, has another number of rows, or is damaged, which is found when it is
        read in the block.
    """
    try:
        # Not pq.read_table: it imports pyarrow.dataset, and with it pandas.
        with pq.ParquetFile(file) as parquet:
            got = parquet.metadata.num_rows
            if rows is not None and got != rows:
                raise PlanError.unreadable(str(file), f"wanted {rows} rows, found {got}")
            yield parquet
    except FileNotFoundError:
        raise PlanError.missing(str(file)) from None
    except (pa.ArrowException, OSError, MemoryError, UnicodeDecodeError) as error:
        reason = f"it cannot be read ({type(error).__name__}: {error})"
        raise PlanError.unreadable(str(file), reason) from None


def _shown(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} of {field.type}" for field in schema)


class KeyIndex:
    """The index of distinct keys, built once for all files that it is written to.

    `keys` are the columns of the keys, in the order of the rows of the look-up files.
    """

    def __init__(self, keys: Sequence[pa.Array]) -> None:
        self._keys = keys
        self._written: tuple[Path, str] | None = None

    @classmethod
    def at(cls, file: Path) -> KeyIndex:
        """The index in a file, to be written to others."""
        index = cls(())
        index._written = file, file_sha256(file)
        return index

    def write(self, file: Path) -> str:
        """Write the index; returns its SHA-256."""
        if self._written is None:
            self._build(file)
            self._written = file, file_sha256(file)
        else:
            partial = file.with_name(file.name + ".partial")
            shutil.copyfile(self._written[0], partial)
            partial.replace(file)
        return self._written[1]

    def _build(self, file: Path) -> None:
        parts = [part_values(key) for key in self._keys]
        if len(parts) == 1 and isinstance(parts[0], np.ndarray):
            build_integer_index(file, parts[0])
        else:
            is_text = len(parts) == 1 and isinstance(parts[0], Text)
            build_text_index(file, parts[0] if is_text else pack(parts))  # type: ignore[arg-type]


def write_look_up(folder: Path, file: str, index: KeyIndex, table: pa.Table) -> tuple[str, str]:
    """Write a look-up file and the index of its keys; returns the SHA-256 of both."""
    target = folder / file
    target.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, target, compression="zstd")
    return file_sha256(target), index.write(folder / index_of(file))


def index_of(file: str) -> str:
    """The name of the index of a look-up file."""
    return file.removesuffix(".parquet") + ".index"
