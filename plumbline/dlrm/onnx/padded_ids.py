"""Lists of ids as one padded tensor, for servers without ragged tensors.

Legend: B rows, L list columns, T ids of the longest list.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.values import Lists

PADDING = -1
"""Follows a list's ids; not 0, which is an ordinary id."""


def padded(bags: Sequence[Lists]) -> NDArray[np.int64]:
    """padded_BLT of one or more list columns of B rows, with int64 ids as values.

    T is rounded up to a power of two, so calls with lists of similar lengths have equal shapes,
    which a server can batch.

    >>> padded([Lists(np.array([7, 8, 9]), np.array([0, 0, 3]))]).tolist()
    [[[-1, -1, -1, -1]], [[7, 8, 9, -1]]]
    """
    length_LB = np.array([np.diff(bag.offsets) for bag in bags])
    longest = max(int(length_LB.max(initial=1)), 1)
    number_T = np.arange(1 << (longest - 1).bit_length())
    padded_BLT = np.full((length_LB.shape[1], len(bags), len(number_T)), PADDING, np.int64)
    for position, (bag, length_B) in enumerate(zip(bags, length_LB, strict=True)):
        padded_BLT[:, position][number_T < length_B[:, np.newaxis]] = bag.values
    return padded_BLT
