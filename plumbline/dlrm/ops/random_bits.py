"""Random bits that depend only on a seed and an index, so a resumed run repeats them.

There are two steps. `step_keys` mixes the seed and the number of a training step into two 32-bit
keys on the host, with `splitmix64`. `random_bits` hashes the index of each element with those keys,
on the elements' device; the CPU and CUDA embedding kernels use the same hash. Stochastic rounding
uses both steps. Dropout uses the first, and seeds a torch generator with the keys.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from plumbline.columns.splitmix64 import GOLDEN, splitmix64


def step_keys(seed: int, step: int) -> tuple[int, int]:
    """k0 and k1 of a step: the low and high 32 bits of a `splitmix64` number."""
    state = (seed * GOLDEN + step + 1) % 2**64
    mixed = int(splitmix64(np.array([state], np.uint64))[0])
    return mixed & 0xFFFFFFFF, mixed >> 32


def random_bits(element: Tensor, k0: int, k1: int) -> Tensor:
    """32 random bits per element, as int64: Wellons' `lowbias32` with a key before and after.

    `element` holds int64 indices; all 64 bits matter.
    """
    bits = low_32(element) ^ k0
    bits = low_32(bits + (element >> 32) * 0x9E3779B9)
    bits = low_32((bits ^ (bits >> 16)) * 0x7FEB352D)
    bits = low_32((bits ^ (bits >> 15)) * 0x846CA68B)
    return (bits ^ (bits >> 16)) ^ k1


def low_32(bits: Tensor) -> Tensor:
    """The low half of each int64."""
    return bits & 0xFFFFFFFF
