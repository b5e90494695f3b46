"""The format of look-up index files, and their header.

All numbers are little endian:

| part | content |
|---|---|
| header | 64 bytes: `PLUMBIDX`, uint32 format version, uint32 kind (1 integers, 2 text), uint64 number of values, of homes, of buckets, of data bytes, zeros |
| buckets | 64 bytes each: five uint64 keys, five uint32 positions + 1, uint32 zero |
| offsets | text only: int64, one more than values |
| data | text only: the bytes of the strings, end to end |

The key of an integer is the integer, the key of a string its hash. A free slot has the position 0
and the key -2⁶³ or 0. The home of a value is the bucket `(hash >> 32) * homes >> 32`. Values are
inserted in order of `hash >> 32`, on ties by position, each into its home or after the value before
it, whichever is later. So a value is in its home or in a bucket after it, up to the first that is
not full; the last one never is. The file depends on the values alone.

The hash of an integer x and of a string's zero-padded eight-byte words w, modulo 2⁶⁴:

    h = x ^ x >> 32; h *= A; h ^= h >> 29; h *= B          A = 0x9E3779B97F4A7C15
    h = length * A; for each w: h = (h ^ w) * B, h ^= h >> 32; h *= A     B = 0xD1342543DE82EF95

Missing values (-2⁶³ and the empty string) are never in an index.

Positions and offsets are checked once, when an index is opened: look-ups trust them. So a file by
anybody can give wrong positions, but none out of range.
"""  # noqa: E501

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from plumbline.base.errors import PlanError
from plumbline.base.files import open_to_read

MAGIC = b"PLUMBIDX"
VERSION = 1
INTEGERS, TEXT = 1, 2
HEADER = struct.Struct("<8sIIQQQQ16x")
BUCKET_BYTES = 64
MAX_VALUES = 2**31 - 2
DAMAGED = "wanted as many positions as values, and ascending offsets, each in range"

_KIND_NAMES = {INTEGERS: "integers", TEXT: "text"}


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields of an index file's header: its kind, and the size of its parts."""

    kind: int
    count: int
    homes: int
    buckets: int
    data_bytes: int

    @property
    def header(self) -> bytes:
        return HEADER.pack(
            MAGIC, VERSION, self.kind, self.count, self.homes, self.buckets, self.data_bytes
        )

    @property
    def file_bytes(self) -> int:
        """The size of the file."""
        pool = (self.count + 1) * 8 + self.data_bytes if self.kind == TEXT else 0
        return HEADER.size + self.buckets * BUCKET_BYTES + pool


def read_shape(file: Path, kind: int | None) -> Shape:
    """Read the header of an index file of a kind; None accepts both kinds.

    Raises
    ------
    PlanError
        The file is missing, or is not an index of this kind.
    """
    try:
        with open_to_read(file) as stream:
            header = stream.read(HEADER.size)
            size = os.fstat(stream.fileno()).st_size
    except FileNotFoundError:
        raise PlanError.missing(str(file)) from None
    if len(header) < HEADER.size or not header.startswith(MAGIC):
        raise PlanError.unreadable(str(file), "a look-up index begins with PLUMBIDX")
    _, version, got_kind, count, homes, buckets, data_bytes = HEADER.unpack(header)
    if version > VERSION:
        raise PlanError.newer_format(str(file), version, VERSION)
    shape = Shape(got_kind, count, homes, buckets, data_bytes)
    if got_kind not in _KIND_NAMES or (kind is not None and got_kind != kind):
        wanted = "integers or text" if kind is None else _KIND_NAMES[kind]
        got = _KIND_NAMES.get(got_kind, f"kind {got_kind}")
        raise PlanError.unreadable(str(file), f"wanted an index of {wanted}, got one of {got}")
    if size != shape.file_bytes or not 0 < homes <= buckets or count > MAX_VALUES:
        raise PlanError.unreadable(
            str(file), f"its header says {shape.file_bytes} bytes, it has {size}"
        )
    return shape
