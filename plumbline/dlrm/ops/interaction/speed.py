"""The instruction set in which the interaction is the fastest here. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np

from plumbline.base.fastest import Times, preferred, times_of
from plumbline.dlrm.ops.dtype_numbers import DTYPE_NUMBERS
from plumbline.dlrm.ops.instruction_sets import build_of, candidates
from plumbline.dlrm.ops.interaction.width import interaction_width

ROWS, FEATURES, DIM = 128, 26, 64
"""The measured work: Criteo's columns, rows that fit into the caches, one thread."""


def interaction_set(module: ModuleType, precision: str) -> str:
    """One of `module.instruction_sets()`: the widest, unless a narrower one is clearly faster."""
    sets = candidates(module)
    return sets[0] if len(sets) == 1 else preferred(interaction_times(module, precision), sets)


def interaction_times(module: ModuleType, precision: str) -> Times:
    """Instruction set to the milliseconds of forward and backward."""

    def prepare(instruction_set: str) -> Callable[[], None]:
        dtype = np.float32 if precision == "fp32" else np.uint16
        width = interaction_width(FEATURES, DIM, has_dense=True)
        dense, dense_gradient = np.zeros((2, ROWS, DIM), dtype)
        embeddings, gradient = np.zeros((2, ROWS, FEATURES, DIM), dtype)
        out = np.zeros((ROWS, width), dtype)
        number, shape = DTYPE_NUMBERS[precision], (ROWS, FEATURES, DIM)

        def call() -> None:
            inputs = dense.ctypes.data, embeddings.ctypes.data
            module.interaction_forward(instruction_set, number, *shape, *inputs, out.ctypes.data, 1)
            gradients = dense_gradient.ctypes.data, gradient.ctypes.data
            module.interaction_backward(
                instruction_set, number, *shape, out.ctypes.data, *inputs, *gradients, 1
            )

        return call

    return times_of(f"interaction-{precision}", build_of(module), candidates(module), prepare)
