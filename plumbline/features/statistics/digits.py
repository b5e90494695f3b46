"""Whole numbers of any size, many at a time: base 2³², one array per digit.

A number is a column of an array (planes, N) whose row k weighs 2³²ᵏ.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BITS = 32
_LOW = 2**BITS - 1

Digits = NDArray[np.uint64]
"""Digits below 2³², (planes, N)."""


def carried(limbs: NDArray[np.int64]) -> tuple[Digits, NDArray[np.bool_]]:
    """The digits of the magnitudes of numbers with signed limbs, and which are negative, (N,)."""
    planes, size = limbs.shape
    digits = np.empty((planes + 1, size), np.int64)
    carry = np.zeros(size, np.int64)
    for plane in range(planes):
        # The limb is split first: limb + carry could overflow.
        low = (limbs[plane] & _LOW) + (carry & _LOW)
        digits[plane] = low & _LOW
        carry = (limbs[plane] >> BITS) + (carry >> BITS) + (low >> BITS)
    digits[planes] = carry & _LOW
    negative = carry < 0
    if negative.any():
        digits[:, negative] = _negated(digits[:, negative])
    return digits.view(np.uint64), negative


def _negated(digits: NDArray[np.int64]) -> NDArray[np.int64]:
    """The two's complement."""
    result = digits ^ _LOW
    result[0] += 1
    for plane in range(len(result) - 1):
        result[plane + 1] += result[plane] >> BITS
        result[plane] &= _LOW
    result[-1] &= _LOW
    return np.asarray(result)


def product(one: Digits, other: Digits) -> NDArray[np.int64]:
    """The limbs of the products."""
    limbs = np.zeros((len(one) + len(other), one.shape[1]), np.uint64)
    for i, left in enumerate(one):
        if not left.any():
            continue
        for j, right in enumerate(other):
            partial = left * right
            limbs[i + j] += partial & np.uint64(_LOW)
            limbs[i + j + 1] += partial >> np.uint64(BITS)
    return limbs.view(np.int64)


def of_counts(counts: NDArray[np.int64]) -> Digits:
    """The digits of numbers that are not negative."""
    return np.asarray(np.stack([counts & _LOW, counts >> BITS]), np.uint64)


def rounded(digits: Digits) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The nearest float64 of each number, ties to even, as m · 2ᵉ: (m, e), (N,) each."""
    planes, size = digits.shape
    padded = np.concatenate([np.zeros((2, size), np.uint64), digits])
    present = padded != 0
    top = np.maximum(planes + 1 - np.argmax(present[::-1], axis=0), 2)
    column = np.arange(size)
    first, second, third = (padded[top - k, column] for k in range(3))
    shift = (BITS - np.frexp(first.astype(np.float64))[1]).astype(np.uint64)
    word = (first << np.uint64(BITS) | second) << shift | third >> (np.uint64(BITS) - shift)
    # The 64 bits are more than twice what is kept. Their last one says whether any follows.
    below = np.logical_or.accumulate(present, axis=0)[np.maximum(top - 3, 0), column]
    follows = (third << shift & np.uint64(_LOW)) != 0
    word |= follows | below
    exponent = BITS * (top.astype(np.int64) - 3) - shift.astype(np.int64)
    return word.astype(np.float64), exponent
