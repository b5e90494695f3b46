"""Where a value stands in a vocabulary: look-up in memory-mapped index files.

An index file, everything little endian:

| part | form |
|---|---|
| header | 64 bytes: `PLUMBIDX`, uint32 format version, uint32 kind (1 integers, 2 text), uint64 number of values, of homes, of buckets, of data bytes, zeros |
| buckets | 64 bytes each: five uint64 keys, five uint32 positions + 1, uint32 zero |
| offsets | text only: int64, one more than values |
| data | text only: the bytes of the strings, end to end |

The key of an integer is the integer, that of a string its hash; of a free slot, the position is 0 and
the key -2⁶³ or 0. The home of a value is the bucket `(hash >> 32) * homes >> 32`. Values are put in
order of `hash >> 32`, on ties by position: each into its home, or into the first slot behind the one
before it. So a value lies in its home or in one of the buckets behind it, up to the first that is not
full; the last one never is. The file depends on nothing but the values.

The hash of an integer x and of a string's zero-filled eight-byte words w, modulo 2⁶⁴:

    h = x ^ x >> 32; h *= A; h ^= h >> 29; h *= B          A = 0x9E3779B97F4A7C15
    h = length * A; for each w: h = (h ^ w) * B, h ^= h >> 32; h *= A     B = 0xD1342543DE82EF95

(a string of whole words has no further one). Missing values (-2⁶³, the empty string) are in no index.
"""  # noqa: E501

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plumbline.base.errors import PlanError
from plumbline.base.files import open_to_read
from plumbline.base.native import native, uses_native
from plumbline.columns.values import NULL_INT64, Text
from plumbline.features.lookup import index_numpy as lookup_numpy

MAGIC = b"PLUMBIDX"
VERSION = 1
INTEGERS, TEXT = 1, 2
HEADER = struct.Struct("<8sIIQQQQ16x")
BUCKET_BYTES = 64
MAX_VALUES = 2**31 - 2

_KIND_NAMES = {INTEGERS: "integers", TEXT: "text"}


@dataclass(frozen=True, slots=True)
class Shape:
    """What an index file's header says."""

    kind: int
    count: int
    homes: int
    buckets: int
    data_bytes: int

    @property
    def file_bytes(self) -> int:
        """The size that the file has to have."""
        pool = (self.count + 1) * 8 + self.data_bytes if self.kind == TEXT else 0
        return HEADER.size + self.buckets * BUCKET_BYTES + pool


def build_integer_index(file: Path, values: NDArray[np.int64]) -> None:
    """Write the index of distinct values int64 (V,); a value's position is its place in the array.

    The file is there whole or not at all.

    Raises
    ------
    ValueError
        A value comes twice or is -2⁶³, or there are more than 2³¹ - 2.
    """
    partial = file.with_name(file.name + ".partial")
    if uses_native():
        native.build_integer_index(str(partial), values)
    else:
        if values.dtype != np.int64 or values.ndim != 1:
            raise TypeError(f"values: wanted int64 of 1 dimension, got {values.dtype}.")
        _refuse_missing(values == NULL_INT64)
        hashes = lookup_numpy.integer_hashes(values)
        homes, buckets = lookup_numpy.buckets_of(hashes, values.view(np.uint64), NULL_INT64)
        _refuse_equal(values, len(np.unique(values)))
        header = HEADER.pack(MAGIC, VERSION, INTEGERS, len(values), homes, len(buckets), 0)
        partial.write_bytes(header + buckets.tobytes())
    partial.replace(file)


def build_text_index(file: Path, text: Text) -> None:
    """Write the index of distinct strings; a string's position is its place in `text`.

    The file is there whole or not at all.

    Raises
    ------
    ValueError
        A string comes twice or is empty, or there are more than 2³¹ - 2.
    """
    partial = file.with_name(file.name + ".partial")
    if uses_native():
        native.build_text_index(str(partial), text.offsets, text.data)
    else:
        _refuse_missing(text.is_missing)
        hashes = lookup_numpy.text_hashes(text)
        homes, buckets = lookup_numpy.buckets_of(hashes, hashes, 0)
        _refuse_equal(text, len(set(text.to_objects())))
        data = text.data[text.offsets[0] : text.offsets[-1]]
        header = HEADER.pack(MAGIC, VERSION, TEXT, len(text), homes, len(buckets), len(data))
        offsets = (text.offsets - text.offsets[0]).tobytes()
        partial.write_bytes(header + buckets.tobytes() + offsets + data.tobytes())
    partial.replace(file)


class IntegerIndex:
    """An open index of integers; any number of threads may use it at once.

    `shape` is what the header says; `native` the native index, None in the NumPy native.
    """

    def __init__(self, file: Path, shape: Shape) -> None:
        self.shape = shape
        self.native = _native_index(file, shape)
        self._buckets = None if self.native else lookup_numpy.Buckets(file, shape)

    @classmethod
    def open(cls, file: Path) -> IntegerIndex:
        """Map an index file.

        Raises
        ------
        PlanError
            The file is missing, or is no such index.
        """
        return cls(file, _shape_of(file, INTEGERS))

    def __len__(self) -> int:
        return self.shape.count

    def positions(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """The position of each value, -1 where it is not there; values int64 (N,), any stride."""
        if self._buckets is not None:
            return self._buckets.integer_positions(values)
        found = np.empty(len(values), np.int64)
        if self.native is not None:
            self.native.positions(values, found)
        return found


class TextIndex:
    """An open index of strings; any number of threads may use it at once."""

    def __init__(self, file: Path, shape: Shape) -> None:
        self.shape = shape
        self.native = _native_index(file, shape)
        self._buckets = None if self.native else lookup_numpy.Buckets(file, shape)

    @classmethod
    def open(cls, file: Path) -> TextIndex:
        """Map an index file.

        Raises
        ------
        PlanError
            The file is missing, or is no such index.
        """
        return cls(file, _shape_of(file, TEXT))

    def __len__(self) -> int:
        return self.shape.count

    def positions(self, text: Text) -> NDArray[np.int64]:
        """The position of each string, -1 where it is not there; int64 (N,)."""
        if self._buckets is not None:
            return self._buckets.text_positions(text)
        found = np.empty(len(text), np.int64)
        if self.native is not None:
            self.native.text_positions(text.offsets, text.data, found)
        return found


def open_index(file: Path) -> IntegerIndex | TextIndex:
    """Map an index file of either kind.

    Raises
    ------
    PlanError
        The file is missing, or is no index.
    """
    shape = _shape_of(file, None)
    return IntegerIndex(file, shape) if shape.kind == INTEGERS else TextIndex(file, shape)


def _native_index(file: Path, shape: Shape) -> native.Index | None:
    if not uses_native():
        return None
    return native.Index(
        str(file),
        is_text=shape.kind == TEXT,
        count=shape.count,
        homes=shape.homes,
        buckets=shape.buckets,
        data_bytes=shape.data_bytes,
    )


def _shape_of(file: Path, kind: int | None) -> Shape:
    try:
        with open_to_read(file) as stream:
            header = stream.read(HEADER.size)
            size = os.fstat(stream.fileno()).st_size
    except FileNotFoundError:
        raise PlanError.missing(str(file)) from None
    if len(header) < HEADER.size or not header.startswith(MAGIC):
        raise PlanError.unreadable(str(file), "a look-up index begins with PLUMBIDX")
    _, version, found_kind, count, homes, buckets, data_bytes = HEADER.unpack(header)
    if version > VERSION:
        raise PlanError.newer_format(str(file), version, VERSION)
    shape = Shape(found_kind, count, homes, buckets, data_bytes)
    if found_kind not in _KIND_NAMES or (kind is not None and found_kind != kind):
        wanted = "integers or text" if kind is None else _KIND_NAMES[kind]
        came = _KIND_NAMES.get(found_kind, f"kind {found_kind}")
        raise PlanError.unreadable(str(file), f"wanted an index of {wanted}, found one of {came}")
    if size != shape.file_bytes or not 0 < homes <= buckets or count > MAX_VALUES:
        raise PlanError.unreadable(
            str(file), f"its header says {shape.file_bytes} bytes, it has {size}"
        )
    return shape


def _refuse_missing(missing: NDArray[np.bool_]) -> None:
    if missing.any():
        position = int(np.argmax(missing))
        raise ValueError(f"An index holds no missing values; there is one at {position}")


def _refuse_equal(values: NDArray[np.int64] | Text, distinct: int) -> None:
    if distinct < len(values):
        raise ValueError(f"An index holds distinct values; of {len(values)} only {distinct} differ")
