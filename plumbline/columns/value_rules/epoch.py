"""Numbers as times since 1970: their size tells the unit. Legend: B rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MICROSECONDS = 1_000_000
"""The number of microseconds in a second."""

_SMALLEST = {1e17: 1e9, 1e14: 1e6, 1e11: 1e3}
"""Smallest size of a number in nanoseconds, microseconds, milliseconds: units per second."""


def units_per_second(numbers_B: NDArray[np.float64]) -> NDArray[np.float64]:
    """(B,) of each number's unit; 1 below 1e11, for seconds.

    >>> units_per_second(np.array([1.7e9, -1.7e12])).tolist()
    [1.0, 1000.0]
    """
    sizes_B = np.abs(numbers_B)
    return np.select([sizes_B >= size for size in _SMALLEST], [*_SMALLEST.values()], 1.0)
