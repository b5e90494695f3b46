"""Hexadecimal text as integers: 1 to 16 digits of either case, 63 bits; empty is missing."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.errors import PlanError
from features.values import NULL_INT64, Text

_DIGITS = re.compile("[0-9a-fA-F]{1,16}")
_MOST_DIGITS = 16
_FEW_ROWS = 128
"""Up to here a loop over the values is faster than one over the places of their digits."""

_NO_DIGIT = 255
_DIGIT_OF_BYTE = np.full(256, _NO_DIGIT, np.uint8)
for _digits in ("0123456789abcdef", "0123456789ABCDEF"):
    _DIGIT_OF_BYTE[np.frombuffer(_digits.encode(), np.uint8)] = np.arange(16, dtype=np.uint8)


def parse_hexadecimal(name: str, column: pa.ChunkedArray) -> NDArray[np.int64]:
    """(B,), the missing integer where a value is null or empty; `column` is of Arrow's text.

    Raises
    ------
    PlanError
        The first value that is something else.

    >>> parse_hexadecimal("c", pa.chunked_array([["ff", "0A"]])).tolist()
    [255, 10]
    """
    if len(column) <= _FEW_ROWS:
        return np.array([_one(name, text) for text in column.to_pylist()], np.int64)
    text = Text.from_arrow(column)
    lengths = np.diff(text.offsets)
    values = np.zeros(len(text), np.uint64)
    unfit = lengths > _MOST_DIGITS
    for place in range(min(int(lengths.max()), _MOST_DIGITS)):
        rows = np.flatnonzero(lengths > place)
        digits = _DIGIT_OF_BYTE[text.data[text.offsets[rows + 1] - 1 - place]]
        unfit[rows[digits == _NO_DIGIT]] = True
        values[rows] |= digits.astype(np.uint64) << np.uint64(4 * place)
    unfit |= values >> np.uint64(63) != 0
    if unfit.any():
        raise _wrong(name, column[int(np.argmax(unfit))].as_py())
    integers: NDArray[np.int64] = values.view(np.int64)
    integers[lengths == 0] = NULL_INT64
    return integers


def _one(name: str, text: str | None) -> int:
    if not text:
        return NULL_INT64
    if not _DIGITS.fullmatch(text) or int(text, 16) >= 2**63:
        raise _wrong(name, text)
    return int(text, 16)


def _wrong(name: str, text: str) -> PlanError:
    return PlanError.wrong_type(name, "up to 16 hexadecimal digits, 63 bits", repr(text))
