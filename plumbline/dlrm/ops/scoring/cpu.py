"""Scoring on a CPU: the native model of plumbline/dlrm/kernels/cpu/scoring.h on NumPy arrays. Needs
no torch.

Legend: B rows, F columns with one id a row, C continuous columns, R rows of all tables, D embedding
length.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import accumulate
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.ops.scoring.precision import ScoringPrecision

if TYPE_CHECKING:
    from plumbline.columns.values import Lists

NUMBERS = {"fp32": 0, "bf16": 1}
"""As in plumbline/dlrm/kernels/cpu/embedding_loops.h."""


class CpuScoring:
    """A model's layers, packed for one instruction set, and its tables where they are.

    `module` is `plumbline.dlrm._kernels`, and the instruction set one of its `instruction_sets()`.

    Parameters
    ----------
    weights
        By the names that `DLRM.state_dict` gives, of the architecture's shapes; `tables.weight` is
        float32, or bfloat16 as uint16. Its memory is kept, and not copied.
    threads
        None: as many as the process may use cores.
    """

    def __init__(
        self,
        module: ModuleType,
        instruction_set: str,
        architecture: Architecture,
        weights: Mapping[str, NDArray[Any]],
        precision: ScoringPrecision,
        threads: int | None = None,
    ) -> None:
        columns = _columns(architecture)
        self._tables_RD = weights["tables.weight"]
        self._threads = threads or len(os.sched_getaffinity(0))
        self._model = module.ScoringModel(
            instruction_set,
            NUMBERS[precision],
            self._tables_RD.ctypes.data,
            NUMBERS[architecture.embedding_rows],
            architecture.embedding_dim,
            len(architecture.continuous),
            [columns[name] for name in architecture.single],
            [columns[name] for name in architecture.bags],
            architecture.bag == "mean",
            _layers(weights, "bottom", len(architecture.bottom_mlp)),
            _layers(weights, "top", len(architecture.top_mlp)),
            _layer(weights, "last"),
        )

    def score(
        self, ids_BF: NDArray[np.int64], dense_BC: NDArray[np.float32], bags: Sequence[Lists]
    ) -> NDArray[np.float32] | None:
        """probability_B; None where a table has no row for an id.

        The inputs are checked but for the ids' range, and may have any strides.
        """
        probability_B = np.empty(len(ids_BF), np.float32)
        lists = [
            (np.ascontiguousarray(bag.values), np.ascontiguousarray(bag.offsets)) for bag in bags
        ]
        found = self._model.score(ids_BF, dense_BC, lists, probability_B, self._threads)
        return probability_B if found else None


def _columns(architecture: Architecture) -> dict[str, tuple[int, int, int]]:
    """Of each id column: its first row in the tables, its number of rows, its place."""
    sizes = architecture.cardinalities
    first_rows = list(accumulate((0, *sizes)))[:-1]
    return {
        name: (first_row, size, place)
        for place, (name, first_row, size) in enumerate(
            zip(architecture.categorical, first_rows, sizes, strict=True)
        )
    }


def _layers(weights: Mapping[str, NDArray[Any]], name: str, count: int) -> list[tuple[Any, Any]]:
    return [_layer(weights, f"{name}.{place}") for place in range(count)]


def _layer(weights: Mapping[str, NDArray[Any]], name: str) -> tuple[Any, Any]:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]
