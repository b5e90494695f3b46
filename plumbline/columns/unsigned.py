"""Unsigned numbers of 64 bits in int64: from 2⁶³ on a number v is stored as v − 2⁶⁴, by its bits.

The bits of 2⁶³ are the null mark, -2⁶³. So 2⁶³ is stored under the bits of `NO_CODE` instead, a
number chosen by chance, and `NO_CODE` itself has no code: it is the one number that is refused. A
column of signed numbers is stored as it is; one that holds negative numbers and numbers from 2⁶³ on
is ambiguous.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.values import NULL_INT64

NO_CODE = 0xB4F3_1A97_6D20_C58E
"""The one unsigned number of 64 bits that cannot be stored."""

UNSIGNED_START = 2**63
UNSIGNED_END = 2**64
_CODE_OF_START = NO_CODE - UNSIGNED_END


def signed_code(number: int) -> int | None:
    """The int64 that stands for a number from -2⁶³ to 2⁶⁴ - 1; None where there is none.

    >>> signed_code(7), signed_code(2**64 - 1), signed_code(-(2**63)), signed_code(NO_CODE)
    (7, -1, None, None)
    """
    if number < UNSIGNED_START:
        return number if number > NULL_INT64 else None
    if number == NO_CODE:
        return None
    return _CODE_OF_START if number == UNSIGNED_START else number - UNSIGNED_END


def signed_codes(numbers: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The codes, int64 (B,), and which of the numbers have none."""
    codes = numbers.view(np.int64).copy()
    codes[numbers == np.uint64(UNSIGNED_START)] = _CODE_OF_START
    return codes, np.equal(numbers, np.uint64(NO_CODE))


def unsigned_number(code: int) -> int:
    """The number of 64 bits that a code stands for; the way back from `signed_code`.

    >>> unsigned_number(-1) == 2**64 - 1, unsigned_number(signed_code(2**63)) == 2**63
    (True, True)
    """
    if code == _CODE_OF_START:
        return UNSIGNED_START
    return code + UNSIGNED_END if code < 0 else code
