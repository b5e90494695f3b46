"""SplitMix64 (Steele, Lea and Flood, 2014), which mixes the bits of hashes; uint64 wraps around."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GOLDEN = 0x9E3779B97F4A7C15
"""2⁶⁴ divided by the golden ratio: the increment of the state."""


def splitmix64(states: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The next random number of each state.

    >>> splitmix64(np.zeros(1, np.uint64))
    array([16294208416658607535], dtype=uint64)
    """
    return finalised(states + np.uint64(GOLDEN))


def finalised(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser alone: a bijection in which every input bit affects every output bit."""
    values = values ^ values >> np.uint64(30)
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values
