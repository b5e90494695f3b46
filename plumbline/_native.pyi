"""The native module (plumbline/features/native/*.cpp). Its functions release the GIL.

An array of another dtype or number of dimensions raises TypeError, one of another size ValueError.
Text is passed as the offsets and data of a `plumbline.columns.values.Text`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Integers = NDArray[np.int64]
_Bytes = NDArray[np.uint8]

def hash_integers(values: _Integers, out: NDArray[np.uint64]) -> None: ...
def hash_numbers(values: NDArray[np.float64], out: NDArray[np.uint64]) -> None: ...
def hash_text(offsets: _Integers, data: _Bytes, out: NDArray[np.uint64]) -> None: ...

class IntegerCounter:
    def __init__(self) -> None: ...
    def __len__(self) -> int: ...
    def add(self, values: _Integers) -> None: ...
    def counts(self, minimum: int, limit: int | None) -> tuple[_Integers, _Integers]: ...

class TextCounter:
    def __init__(self) -> None: ...
    def __len__(self) -> int: ...
    def add(self, offsets: _Integers, data: _Bytes) -> None: ...
    def counts(self, minimum: int, limit: int | None) -> tuple[_Integers, _Bytes, _Integers]: ...

def build_integer_index(file: str, values: _Integers) -> None: ...
def build_text_index(file: str, offsets: _Integers, data: _Bytes) -> None: ...

class Index:
    def __init__(
        self, file: str, *, is_text: bool, count: int, homes: int, buckets: int, data_bytes: int
    ) -> None: ...
    def __len__(self) -> int: ...
    def positions(self, values: _Integers, out: _Integers) -> None: ...
    def text_positions(self, offsets: _Integers, data: _Bytes, out: _Integers) -> None: ...

class Encoder:
    """See native/encoder.h; each method but the last two adds a node and returns its number."""

    def __init__(self) -> None: ...
    def raw_column(self, tensor: str, index: int, column: int) -> int: ...
    def operation(self, name: str, numbers: Sequence[float], source: int) -> int: ...
    def bucketize(self, boundaries: Sequence[float], source: int) -> int: ...
    def hash_bucket(self, buckets: int, parts: Sequence[int]) -> int: ...
    def key(self, parts: Sequence[int]) -> int: ...
    def look_up(self, index: Index, source: int) -> int: ...
    def ids_at(
        self,
        first: int,
        null: int,
        unseen: int,
        unseen_slots: int,
        positions: int,
        parts: Sequence[int],
    ) -> int: ...
    def numbers_at(
        self,
        values: NDArray[np.float64],
        null: float,
        unseen: float,
        positions: int,
        parts: Sequence[int],
    ) -> int: ...
    def set_outputs(
        self, ids: Sequence[tuple[int, int]], numbers: Sequence[tuple[int, int]]
    ) -> None: ...
    def run(
        self,
        numbers: Sequence[NDArray[np.float32]],
        doubles: Sequence[NDArray[np.float64]],
        integers: Sequence[_Integers],
        texts: Sequence[tuple[_Integers, _Bytes]],
        ids_out: NDArray[Any],
        dense_out: NDArray[np.float32],
    ) -> None: ...

def pack_keys(
    parts: Sequence[_Integers | tuple[_Integers, _Bytes]],
) -> tuple[_Integers, _Bytes]: ...
def pack_objects(values: NDArray[np.object_]) -> tuple[_Integers, _Bytes]: ...
def parse_lines(
    text: bytes | bytearray | memoryview,
    separator: int,
    is_ascii: bool,
    fields: Sequence[str],
    missing: Sequence[str],
    clicks: Sequence[str],
) -> list[Any] | None:
    """An array per field, two for text and None for a skipped field; None if it gives up.

    See native/parse.h.
    """
