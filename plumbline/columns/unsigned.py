"""Unsigned 64-bit numbers as int64 codes: a number v from 2⁶³ on is stored as v − 2⁶⁴.

The code of 2⁶³ would be the null mark, -2⁶³. So 2⁶³ has the code of `NO_CODE` instead, a number
that was drawn at random, and `NO_CODE` itself has no code and is refused. Signed numbers are their
own codes. A column with both negative numbers and numbers from 2⁶³ on is ambiguous.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.values import NULL_INT64

NO_CODE = 0xB4F3_1A97_6D20_C58E
"""The only unsigned 64-bit number that cannot be stored."""

UNSIGNED_START = 2**63
UNSIGNED_END = 2**64
_CODE_OF_START = NO_CODE - UNSIGNED_END


def signed_code(number: int) -> int | None:
    """The code of a number from -2⁶³ to 2⁶⁴ - 1; None if it has none.

    >>> signed_code(7), signed_code(2**64 - 1), signed_code(-(2**63)), signed_code(NO_CODE)
    (7, -1, None, None)
    """
    if number < UNSIGNED_START:
        return number if number > NULL_INT64 else None
    if number == NO_CODE:
        return None
    return _CODE_OF_START if number == UNSIGNED_START else number - UNSIGNED_END


def signed_codes(numbers: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The codes of the numbers, int64 (B,), and the mask of the numbers that have none."""
    codes = numbers.view(np.int64).copy()
    codes[numbers == np.uint64(UNSIGNED_START)] = _CODE_OF_START
    return codes, np.equal(numbers, np.uint64(NO_CODE))


def unsigned_number(code: int) -> int:
    """The unsigned 64-bit number of a code; the inverse of `signed_code`.

    >>> unsigned_number(-1) == 2**64 - 1, unsigned_number(signed_code(2**63)) == 2**63
    (True, True)
    """
    if code == _CODE_OF_START:
        return UNSIGNED_START
    return code + UNSIGNED_END if code < 0 else code
