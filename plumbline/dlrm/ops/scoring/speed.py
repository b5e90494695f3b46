"""The precision and the instruction set in which scoring is the fastest here. Needs no torch.

int8 is never chosen: it changes scores by more than a rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise, product
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from plumbline.base.fastest import Times, preferred, times_of
from plumbline.dlrm.ops.dtype_numbers import DTYPE_NUMBERS
from plumbline.dlrm.ops.embedding.pooling import POOLING_NUMBERS
from plumbline.dlrm.ops.instruction_sets import build_of, candidates
from plumbline.dlrm.ops.interaction.width import interaction_width

PRECISIONS = ("fp32", "bf16")
"""The exact one is preferred."""

ROWS, COLUMNS, CONTINUOUS, DIM = 96, 26, 13, 64
CARDINALITY = 100
BOTTOM, TOP = (128, DIM), (512, 256)
"""The measured work: a model between Kaggle's and the article's, in the caches, one thread."""


def fastest_precision(module: ModuleType) -> Literal["fp32", "bf16"]:
    """fp32, unless bf16 is clearly faster, each with its own instruction set."""
    times = scoring_times(module)
    best = {name: times[_way(name, scoring_set(module, name))] for name in PRECISIONS}
    return "bf16" if preferred(best, PRECISIONS) == "bf16" else "fp32"


def scoring_set(module: ModuleType, precision: str) -> str:
    """One of `module.instruction_sets()`: the widest, unless a narrower one is clearly faster."""
    sets = candidates(module)
    if len(sets) == 1 or precision not in PRECISIONS:
        return sets[0]
    times = scoring_times(module)
    return preferred({name: times[_way(precision, name)] for name in sets}, sets)


def scoring_times(module: ModuleType) -> Times:
    """Precision and instruction set to the milliseconds of one call."""
    ways = {_way(*pair): pair for pair in product(PRECISIONS, candidates(module))}

    def prepare(way: str) -> Callable[[], None]:
        precision, instruction_set = ways[way]
        generator = np.random.default_rng(1)

        def layers(*widths: int) -> list[tuple[NDArray[Any], NDArray[Any]]]:
            return [
                (np.full((after, before), 0.01, np.float32), np.zeros(after, np.float32))
                for before, after in pairwise(widths)
            ]

        tables = np.full((COLUMNS * CARDINALITY, DIM), 0.01, np.float32)
        model = module.ScoringModel(
            instruction_set,
            DTYPE_NUMBERS[precision],
            tables.ctypes.data,
            DTYPE_NUMBERS["fp32"],
            DIM,
            CONTINUOUS,
            [(column * CARDINALITY, CARDINALITY, column) for column in range(COLUMNS)],
            [],
            POOLING_NUMBERS["sum"],
            [],
            layers(CONTINUOUS, *BOTTOM),
            layers(interaction_width(COLUMNS, DIM, has_dense=True), *TOP),
            layers(TOP[-1], 1)[0],
        )
        ids = generator.integers(0, CARDINALITY, (ROWS, COLUMNS))
        dense = generator.standard_normal((ROWS, CONTINUOUS), np.float32)
        probability = np.empty(ROWS, np.float32)

        def call(_keeps_their_memory: NDArray[np.float32] = tables) -> None:
            model.score(ids, dense, [], probability, 1)

        return call

    return times_of("scoring", build_of(module), [*ways], prepare)


def _way(precision: str, instruction_set: str) -> str:
    return f"{precision} {instruction_set}"
