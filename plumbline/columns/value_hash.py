"""The 64-bit hash of a value, and of several values together; the same on every device.

It is the hash of `pandas.util.hash_array`, which NVTabular uses on the CPU. A missing integer or
string has the hash 2⁶⁴ - 1. All NaNs have the same hash, and -0.0 has that of 0.0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.pandas_hash import hash_integers, hash_numbers, hash_text
from plumbline.columns.values import Lists, Text, Values, is_missing

MISSING_HASH = 2**64 - 1


def value_hash(values: Values) -> NDArray[np.uint64]:
    """The hash of each value, (B,)."""
    if isinstance(values, Lists):
        raise TypeError("wanted single values, got lists")
    if isinstance(values, np.ndarray) and values.dtype.kind == "f":
        return hash_numbers(np.where(np.isnan(values), np.nan, values.astype(np.float64) + 0.0))
    hashes = hash_text(values) if isinstance(values, Text) else hash_integers(values)
    hashes[is_missing(values)] = np.uint64(MISSING_HASH)
    return hashes


def combined_hash(parts: Sequence[Values]) -> NDArray[np.uint64]:
    """Exclusive or of the parts' hashes, as in NVTabular's HashedCross; (B,)."""
    combined = value_hash(parts[0])
    for part in parts[1:]:
        combined = combined ^ value_hash(part)
    return combined


def modulo(hashes_B: NDArray[np.uint64], divisor: int) -> NDArray[np.int64]:
    """The remainders as int64 ids, (B,)."""
    return (hashes_B % np.uint64(divisor)).astype(np.int64)
