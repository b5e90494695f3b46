"""Random bits that depend on a seed and on a position alone, so a resumed run draws them again.

There are two steps. `step_keys` mixes the seed and the number of a training step into two keys of
32 bits, on the host, by the project's one mixer of hash bits. `random_bits` hashes the position of
each element with those keys, on the elements' device; the CPU and CUDA kernels of the embedding
hash the same way. Stochastic rounding takes both steps. Dropout takes the first one, whose keys
seed a torch generator.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from plumbline.columns.splitmix64 import GOLDEN, splitmix64


def step_keys(seed: int, step: int) -> tuple[int, int]:
    """k0 and k1 of a step, 32 bits each: the low and the high half of a `splitmix64` number."""
    state = (seed * GOLDEN + step + 1) % 2**64
    mixed = int(splitmix64(np.array([state], np.uint64))[0])
    return mixed & 0xFFFFFFFF, mixed >> 32


def random_bits(element: Tensor, k0: int, k1: int) -> Tensor:
    """32 bits of each element, as int64; Wellons' `lowbias32`, with a key before and after.

    `element` holds int64 positions, all 64 bits of which count.
    """
    bits = low_32(element) ^ k0
    bits = low_32(bits + (element >> 32) * 0x9E3779B9)
    bits = low_32((bits ^ (bits >> 16)) * 0x7FEB352D)
    bits = low_32((bits ^ (bits >> 15)) * 0x846CA68B)
    return (bits ^ (bits >> 16)) ^ k1


def low_32(bits: Tensor) -> Tensor:
    """The low half of each int64."""
    return bits & 0xFFFFFFFF
