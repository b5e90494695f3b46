"""The look-up files of a plan folder: Parquet to read, and beside it an index to look up in.

Each is loaded once for all the steps that use it, and checked against its hash before. The index is
memory-mapped (`plumbline.features.lookup.index`), so the processes that serve one plan share its
pages.
"""

from __future__ import annotations

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
"""Name of the number's column in a file of values by key."""


@dataclass(frozen=True, slots=True)
class Positions:
    """The row of a key, of one or more columns, in the Parquet file; -1 where there is none."""

    index: IntegerIndex | TextIndex

    def __call__(self, *keys: Values) -> NDArray[np.int64]:
        """Positions int64 (B,); integers for an integer index, text or several keys for text."""
        if isinstance(self.index, TextIndex):
            only_text = len(keys) == 1 and isinstance(keys[0], Text)
            text = keys[0] if only_text else pack(keys)
            if not isinstance(text, Text):
                raise TypeError("wanted text")
            return self.index.positions(text)
        (integers,) = keys
        if not isinstance(integers, np.ndarray):
            raise TypeError(f"wanted integers, got {type(integers).__name__}")
        return self.index.positions(integers)


class Tables:
    """The checked and loaded look-up files of one plan folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._checked: set[str] = set()
        self._loaded: dict[str, Positions] = {}

    def check(self, files: Mapping[str, str]) -> None:
        """Check files against their SHA-256, those that were not yet, in as many threads as cores.

        Raises
        ------
        PlanError
            A file is missing, or is not the one that was written.
        """
        unchecked = {file: sha for file, sha in files.items() if file not in self._checked}
        paths = [self._folder / file for file in unchecked]
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(require_sha256, paths, unchecked.values(), repeat(PlanError)):
                pass
        self._checked.update(unchecked)

    def positions(self, file: str, sha256: str, index_sha256: str) -> Positions:
        """Raises PlanError where one of the two files is missing or was changed."""
        if file not in self._loaded:
            index = index_of(file)
            self.check({file: sha256, index: index_sha256})
            self._loaded[file] = Positions(open_index(self._folder / index))
        return self._loaded[file]

    def numbers(self, file: str) -> NDArray[np.float64]:
        """The value column of a file that `positions` has checked, (V,)."""
        column = pq.read_table(self._folder / file, columns=[VALUE])[VALUE]
        return np.asarray(column, dtype=np.float64)


def write_look_up(
    folder: Path, file: str, keys: Sequence[pa.Array], table: pa.Table
) -> tuple[str, str]:
    """Write a look-up file and its index; returns the SHA-256 of both.

    `keys` are the parts of the keys, distinct, in the order of the table's rows.
    """
    target = folder / file
    target.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, target, compression="zstd")
    index = folder / index_of(file)
    parts = [part_values(key) for key in keys]
    if len(parts) == 1 and isinstance(parts[0], np.ndarray):
        build_integer_index(index, parts[0])
    else:
        single = len(parts) == 1 and isinstance(parts[0], Text)
        build_text_index(index, parts[0] if single else pack(parts))  # type: ignore[arg-type]
    return file_sha256(target), file_sha256(index)


def index_of(file: str) -> str:
    """The name of the index beside a look-up file."""
    return file.removesuffix(".parquet") + ".index"
