"""Hexadecimal text as int64 codes (see `plumbline.columns.unsigned`)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.columns.unsigned import signed_codes
from plumbline.columns.values import NULL_INT64, Text

_MOST_DIGITS = 16
_NO_DIGIT = 255
_DIGIT_OF_BYTE = np.full(256, _NO_DIGIT, np.uint8)
for _digits in ("0123456789abcdef", "0123456789ABCDEF"):
    _DIGIT_OF_BYTE[np.frombuffer(_digits.encode(), np.uint8)] = np.arange(16, dtype=np.uint8)


def plain_hexadecimal(column: pa.ChunkedArray) -> NDArray[np.int64] | None:
    """The codes of Arrow text of 1 to 16 digits in either case, int64 (B,).

    A null or an empty value is missing. Returns None if a value is anything else, such as digits
    with blanks around them.

    >>> plain_hexadecimal(pa.chunked_array([["ff", "0A", None]])).tolist()
    [255, 10, -9223372036854775808]
    """
    text = Text.from_arrow(column)
    lengths = np.diff(text.offsets)
    values = np.zeros(len(text), np.uint64)
    unfit = lengths > _MOST_DIGITS
    for position in range(min(int(lengths.max(initial=0)), _MOST_DIGITS)):
        rows = np.flatnonzero(lengths > position)
        digits = _DIGIT_OF_BYTE[text.data[text.offsets[rows + 1] - 1 - position]]
        unfit[rows[digits == _NO_DIGIT]] = True
        values[rows] |= digits.astype(np.uint64) << np.uint64(4 * position)
    codes, refused = signed_codes(values)
    if unfit.any() or refused.any():
        return None
    codes[lengths == 0] = NULL_INT64
    return codes
