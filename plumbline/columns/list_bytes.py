"""A list as a bytes object: the encoding of list columns on the wire.

| elements | bytes of a list | missing element |
|---|---|---|
| integers | each as int64, little-endian | -2⁶³ |
| text | each as its length in bytes, uint32 little-endian, and its UTF-8 bytes | length 0 |

An empty bytes object is an empty list. Legend: B rows, N elements of all rows, R rows that have
elements left.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from plumbline.base.errors import PlanError
from plumbline.columns.values import Lists, Text, offsets_of

_INT64 = np.dtype("<i8")
_LENGTH = np.dtype("<u4")
_FEW_ROWS = 8
"""Up to this number of rows, a loop over single elements is faster than a vectorized one."""


def pack(lists: Lists) -> NDArray[np.object_]:
    """A bytes object per row, (B,).

    >>> pack(Lists(np.array([1, 2]), np.array([0, 0, 2]))).tolist()
    [b'', b'\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\x00\\x00\\x00\\x00\\x00\\x00']
    """
    values = lists.values
    if isinstance(values, Text):
        data, starts = _with_lengths(values)
        return _cut(data, starts[lists.offsets])
    return _cut(values.astype(_INT64, copy=False).tobytes(), lists.offsets * _INT64.itemsize)


def unpack_integers(column: str, packed_B: NDArray[np.object_]) -> Lists:
    """The inverse of `pack` for lists of integers.

    Raises
    ------
    PlanError
        A row is not bytes, or its length is not a multiple of 8.
    """
    data, offsets = _joined(column, packed_B)
    lengths = np.diff(offsets)
    torn = np.flatnonzero(lengths % _INT64.itemsize)
    if len(torn):
        row = int(torn[0])
        raise _malformed(column, row, "8 bytes an integer", f"{lengths[row]} bytes")
    values = np.frombuffer(data, _INT64).astype(np.int64, copy=False)
    return Lists(values, offsets // _INT64.itemsize)


def unpack_texts(column: str, packed_B: NDArray[np.object_]) -> Lists:
    """The inverse of `pack` for lists of text.

    Raises
    ------
    PlanError
        A row is not bytes, or a length exceeds the row's bytes.
    """
    if len(packed_B) <= _FEW_ROWS:
        return _unpack_one_by_one(column, packed_B.tolist())
    data, offsets = _joined(column, packed_B)
    row_N, start_N, length_N = _elements(column, data, offsets)
    text_offsets = offsets_of(length_N)
    positions = np.arange(text_offsets[-1]) + np.repeat(start_N - text_offsets[:-1], length_N)
    texts = Text(text_offsets, np.frombuffer(data, np.uint8)[positions])
    return Lists(texts, offsets_of(np.bincount(row_N, minlength=len(packed_B)).astype(np.int64)))


def _with_lengths(text: Text) -> tuple[bytes, NDArray[np.int64]]:
    """The strings, each after its length, and the offsets of the lengths, (N+1,)."""
    lengths = np.diff(text.offsets)
    head = _LENGTH.itemsize
    starts = text.offsets + head * np.arange(len(text.offsets))
    data = np.empty(starts[-1], np.uint8)
    heads = starts[:-1, np.newaxis] + np.arange(head)
    data[heads] = lengths.astype(_LENGTH).view(np.uint8).reshape(-1, head)
    bodies = np.ones(len(data), np.bool_)
    bodies[heads] = False
    data[bodies] = text.data
    return data.tobytes(), starts


def _cut(data: bytes, bounds: NDArray[np.int64]) -> NDArray[np.object_]:
    offsets = bounds.tolist()
    rows = np.empty(len(offsets) - 1, np.object_)
    rows[:] = [data[start:end] for start, end in pairwise(offsets)]
    return rows


def _joined(column: str, packed_B: NDArray[np.object_]) -> tuple[bytes, NDArray[np.int64]]:
    """The concatenated bytes of all rows, and the rows' offsets, (B+1,)."""
    rows = packed_B.tolist()
    for index, packed in enumerate(rows):
        _require_bytes(column, index, packed)
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    return b"".join(rows), offsets_of(lengths)


def _unpack_one_by_one(column: str, rows: list[bytes]) -> Lists:
    texts: list[bytes] = []
    offsets = [0]
    for index, packed in enumerate(rows):
        _require_bytes(column, index, packed)
        for start, end in _strings(column, index, packed, 0, len(packed)):
            texts.append(packed[start:end])
        offsets.append(len(texts))
    return Lists(Text.from_objects(texts), np.array(offsets, np.int64))


def _strings(
    column: str, row: int, data: bytes, position: int, end: int
) -> Iterator[tuple[int, int]]:
    """The start and end of each string of a row, from `position` on."""
    head = _LENGTH.itemsize
    while position < end:
        start = position + head
        position = start + int.from_bytes(data[position:start], "little")
        if start > end or position > end:
            raise _beyond(column, row)
        yield start, position


def _elements(
    column: str, data: bytes, offsets: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The row, start and length of every string, row by row, each (N,).

    The first strings of all rows are read at once, then the second ones, and so on. When only a few
    rows have strings left, those are read one by one.
    """
    head = _LENGTH.itemsize
    bytes_ = np.frombuffer(data, np.uint8)
    row_R = np.flatnonzero(np.diff(offsets))
    position_R = offsets[row_R]
    parts = []
    while len(row_R) > _FEW_ROWS:
        end_R = offsets[row_R + 1]
        _require(column, row_R, position_R + head <= end_R)
        heads = bytes_[position_R[:, np.newaxis] + np.arange(head)]
        length_R = heads.view(_LENGTH)[:, 0].astype(np.int64)
        start_R = position_R + head
        position_R = start_R + length_R
        _require(column, row_R, position_R <= end_R)
        parts.append((row_R, start_R, length_R))
        more = position_R < end_R
        row_R, position_R = row_R[more], position_R[more]
    rest = [
        (row, start, end - start)
        for row, position in zip(row_R.tolist(), position_R.tolist(), strict=True)
        for start, end in _strings(column, row, data, position, int(offsets[row + 1]))
    ]
    parts.append(tuple(np.array(rest, np.int64).reshape(-1, 3).T))
    row_N, start_N, length_N = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(row_N, kind="stable")
    return row_N[order], start_N[order], length_N[order]


def _require_bytes(column: str, row: int, packed: object) -> None:
    if not isinstance(packed, bytes):
        raise _malformed(column, row, "bytes", type(packed).__name__)


def _require(column: str, row_R: NDArray[np.int64], fits_R: NDArray[np.bool_]) -> None:
    if not fits_R.all():
        raise _beyond(column, int(row_R[~fits_R][0]))


def _beyond(column: str, row: int) -> PlanError:
    wanted = "each element as its length, 4 bytes, and as many bytes"
    return _malformed(column, row, wanted, "a length that reaches beyond them")


def _malformed(column: str, row: int, wanted: str, got: str) -> PlanError:
    return PlanError.wrong_type(column, f"a list in row {row} as {wanted}", got)
