"""The look-up files of a plan folder: a Parquet file of keys and values, and an index of its keys.

Files are checked against their hashes first. Equal indexes, such as those of all statistics of one
key, are loaded once. An index is memory-mapped (`plumbline.features.lookup.index`), so processes
that serve the same plan share its pages.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from plumbline.base.errors import PlanError
from plumbline.base.files import file_sha256, require_sha256
from plumbline.base.read_ahead import THREADS
from plumbline.columns.arrow_numbers import arrow_numbers
from plumbline.columns.keys import pack, part_values
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
        paths = [self._folder / file for file in unchecked]
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

    def numbers(self, file: str) -> NDArray[np.float64]:
        """The value column of a checked file, float64 (V,)."""
        return arrow_numbers(self._values(file)).astype(np.float64, copy=False)

    def keys(self, file: str) -> Values:
        """The value column of a checked file, integers or text (V,)."""
        return part_values(self._values(file))

    def table(self, file: str, columns: Sequence[str]) -> pa.Table:
        """These columns of a checked file."""
        # Not pq.read_table: it imports pyarrow.dataset, and with it pandas.
        with pq.ParquetFile(self._folder / file) as parquet:
            return parquet.read(list(columns))

    def _values(self, file: str) -> pa.Array:
        return self.table(file, [VALUE])[VALUE].combine_chunks()


NO_TABLES = Tables(Path())
"""For steps without files."""


class KeyIndex:
    """The index of distinct keys, built once for all files that it is written to.

    `keys` are the columns of the keys, in the order of the rows of the look-up files.
    """

    def __init__(self, keys: Sequence[pa.Array]) -> None:
        self._keys = keys
        self._written: tuple[Path, str] | None = None

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
