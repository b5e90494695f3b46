"""Keys of several columns: packing a row's values into a string of bytes, and unpacking them.

An integer is packed as 8 bytes, little endian; text as its length in 4 bytes, little endian, and
its UTF-8 bytes. Two rows have the same key if and only if all parts are equal; missing parts are
equal to each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from plumbline.base.native import native, uses_native
from plumbline.columns.values import NULL_INT64, Text, Values, is_missing, offsets_of

_INTEGER_BYTES = 8
_LENGTH_BYTES = 4


def pack(parts: Sequence[Values]) -> Text:
    """The keys of B rows; `parts` are integers or text."""
    if uses_native():
        given = [
            (part.offsets, part.data) if isinstance(part, Text) else _integers(part)
            for part in parts
        ]
        return Text(*native.pack_keys(given))
    rows = len(parts[0])
    widths = [_widths(part) for part in parts]
    offsets = offsets_of(np.sum(widths, axis=0, dtype=np.int64))
    data = np.empty(offsets[-1], np.uint8)
    position_B = offsets[:-1].copy()
    for part, width_B in zip(parts, widths, strict=True):
        if isinstance(part, Text):
            length_B = (width_B - _LENGTH_BYTES).astype("<u4")
            _put(data, position_B, length_B.view(np.uint8).reshape(rows, _LENGTH_BYTES))
            starts = np.repeat(position_B + _LENGTH_BYTES - part.offsets[:-1], length_B)
            data[starts + np.arange(part.offsets[0], part.offsets[-1])] = part.data
        else:
            integers_B = np.ascontiguousarray(_integers(part), "<i8")
            _put(data, position_B, integers_B.view(np.uint8).reshape(rows, _INTEGER_BYTES))
        position_B += width_B
    return Text(offsets, data)


def unpack(keys: Text, is_text: Sequence[bool]) -> list[pa.Array]:
    """The parts of B keys as int64 or string arrays, null if missing."""
    position_B = keys.offsets[:-1].copy()
    parts: list[pa.Array] = []
    for text in is_text:
        width = _LENGTH_BYTES if text else _INTEGER_BYTES
        head = keys.data[position_B[:, None] + np.arange(width)]
        position_B += width
        if not text:
            integers_B = head.copy().view("<i8").reshape(len(keys))
            parts.append(pa.array(integers_B, mask=integers_B == NULL_INT64))
            continue
        length_B = head.copy().view("<u4").reshape(len(keys)).astype(np.int64)
        offsets = offsets_of(length_B)
        positions = np.repeat(position_B - offsets[:-1], length_B) + np.arange(offsets[-1])
        parts.append(text_array(Text(offsets, keys.data[positions])))
        position_B += length_B
    return parts


def text_array(text: Text) -> pa.Array:
    """Text as an Arrow array of strings, null if empty."""
    array = text.to_arrow().cast(pa.string())
    missing = text.is_missing
    return pc.if_else(pa.array(missing), None, array) if missing.any() else array


def part_values(array: pa.Array) -> Values:
    """An Arrow array of integers or strings, such as `unpack` returns, as values."""
    if pa.types.is_integer(array.type):
        return np.asarray(array.cast(pa.int64()).fill_null(NULL_INT64), dtype=np.int64)
    return Text.from_arrow(array)


def is_all_missing(parts: Sequence[Values]) -> NDArray[np.bool_]:
    """The mask of the rows whose parts are all missing, (B,)."""
    missing = is_missing(parts[0])
    for part in parts[1:]:
        missing = missing & is_missing(part)
    return missing


def _widths(part: Values) -> NDArray[np.int64]:
    if isinstance(part, Text):
        return np.diff(part.offsets) + _LENGTH_BYTES
    return np.full(len(part), _INTEGER_BYTES, np.int64)


def _integers(part: Values) -> NDArray[np.int64]:
    if not isinstance(part, np.ndarray) or part.dtype.kind != "i":
        raise TypeError("wanted integers or text as parts of a key")
    return part.astype(np.int64, copy=False)


def _put(data: NDArray[np.uint8], position_B: NDArray[np.int64], bytes_: NDArray[np.uint8]) -> None:
    data[position_B[:, None] + np.arange(bytes_.shape[1])] = bytes_
