"""A column's values in memory: numbers, integers, text, and lists of them.

| values | layout | missing |
|---|---|---|
| numbers | float64 or float32 (B,) | NaN |
| integers | int64 (B,) | -2⁶³ |
| times | int64 (B,), microseconds since 1970 in UTC | -2⁶³ |
| text | `Text`: offsets and UTF-8 bytes | empty |
| lists | `Lists`: offsets and integers or text | an empty list |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.base.native import native, uses_native

NULL_INT64 = -(2**63)
"""The missing integer."""


@dataclass(frozen=True, slots=True)
class Text:
    """Concatenated UTF-8 strings: offsets int64 (B+1,), data uint8 (N,); empty means missing."""

    offsets: NDArray[np.int64]
    data: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def from_objects(cls, values_B: Sequence[bytes] | NDArray[np.object_]) -> Text:
        """From bytes objects; raises TypeError for other objects.

        >>> Text.from_objects([b"ab", b"", b"c"]).offsets
        array([0, 2, 2, 3])
        """
        if isinstance(values_B, np.ndarray) and uses_native():
            return cls(*native.pack_objects(values_B))
        lengths = np.fromiter(map(len, values_B), np.int64, len(values_B))
        return cls(offsets_of(lengths), np.frombuffer(b"".join(values_B), np.uint8))

    @classmethod
    def from_arrow(cls, column: pa.Array | pa.ChunkedArray) -> Text:
        """From an Arrow column of strings or bytes; nulls become empty."""
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        array = column.cast(pa.large_binary())
        if array.null_count:
            array = array.fill_null(b"")
        _, offsets, data = array.buffers()
        if offsets is None or not len(array):
            return cls(np.zeros(1, np.int64), np.empty(0, np.uint8))
        offsets = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
        first, last = int(offsets[0]), int(offsets[-1])
        bytes_ = np.frombuffer(data, np.uint8)[first:last] if data else np.empty(0, np.uint8)
        return cls(offsets - first if first else offsets, bytes_)

    def to_arrow(self) -> pa.Array:
        """As an Arrow array of `large_string`; empty strings stay empty."""
        buffers = [None, pa.py_buffer(self.offsets), pa.py_buffer(self.data)]
        return pa.LargeStringArray.from_buffers(len(self), *buffers[1:])

    def to_arrow_bytes(self) -> pa.Array:
        """As an Arrow array of `large_binary`; a request may have bytes that are not UTF-8."""
        buffers = [None, pa.py_buffer(self.offsets), pa.py_buffer(self.data)]
        return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(self), buffers)

    def to_objects(self) -> NDArray[np.object_]:
        """As an array of bytes objects, (B,)."""
        data = self.data.tobytes()
        objects = np.empty(len(self), np.object_)
        objects[:] = [data[start:end] for start, end in pairwise(self.offsets.tolist())]
        return objects

    def take(self, rows: NDArray[Any]) -> Text:
        """Select strings by an array of row numbers or a mask."""
        if rows.dtype == np.bool_:
            rows = np.flatnonzero(rows)
        lengths = np.diff(self.offsets)[rows]
        offsets = offsets_of(lengths)
        positions = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        return Text(offsets, self.data[positions])

    @property
    def is_missing(self) -> NDArray[np.bool_]:
        """The mask of the empty strings, (B,)."""
        return np.equal(np.diff(self.offsets), 0)


@dataclass(frozen=True, slots=True)
class Lists:
    """A list per row: values (N,), offsets int64 (B+1,), starting with 0."""

    values: NDArray[np.int64] | Text
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, rows: NDArray[Any]) -> Lists:
        """Select lists by an array of row numbers or a mask."""
        if rows.dtype == np.bool_:
            rows = np.flatnonzero(rows)
        lengths = np.diff(self.offsets)[rows]
        offsets = offsets_of(lengths)
        positions = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        return Lists(take(self.values, positions), offsets)


Values: TypeAlias = NDArray[Any] | Text | Lists


def take(values: Any, rows: NDArray[Any]) -> Any:
    """Select values by an array of row numbers or a mask."""
    return values[rows] if isinstance(values, np.ndarray) else values.take(rows)


def concat(parts: Sequence[Any]) -> Any:
    """Concatenate one or more parts with the same layout.

    >>> concat([Text.from_objects([b"ab"]), Text.from_objects([b"", b"c"])]).to_objects()
    array([b'ab', b'', b'c'], dtype=object)
    """
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    offsets = offsets_of(np.concatenate([np.diff(part.offsets) for part in parts]))
    if isinstance(parts[0], Text):
        return Text(offsets, np.concatenate([part.data for part in parts]))
    return Lists(concat([part.values for part in parts]), offsets)


def is_missing(values: Values) -> NDArray[np.bool_]:
    """The mask of the missing values, (B,)."""
    if isinstance(values, Text):
        return values.is_missing
    if isinstance(values, Lists):
        return np.equal(np.diff(values.offsets), 0)
    return np.isnan(values) if values.dtype.kind == "f" else np.equal(values, NULL_INT64)


def offsets_of(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The offsets of consecutive ranges of these lengths, and the end of the last one.

    >>> offsets_of(np.array([2, 0, 3]))
    array([0, 2, 2, 5])
    """
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
