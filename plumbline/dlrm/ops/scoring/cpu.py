"""Scoring on a CPU by the native model, plumbline/dlrm/kernels/cpu/scoring.h, on NumPy arrays.
Needs no torch.

Legend: B rows, F columns with one id a row, C continuous columns, R rows of all tables, D embedding
length.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plumbline.dlrm.ops.scoring.contract import ScoringShape
from plumbline.dlrm.ops.scoring.precision import ScoringPrecision

if TYPE_CHECKING:
    from plumbline.columns.values import Lists

NUMBERS = {"fp32": 0, "bf16": 1}
"""As in plumbline/dlrm/kernels/cpu/dtypes.h."""


class CpuScoring:
    """A model's layers, packed for one instruction set, and its tables, which are not copied.

    `module` is `plumbline.dlrm._kernels`, and the instruction set one of its `instruction_sets()`.

    Parameters
    ----------
    weights
        Arrays by their names in `DLRM.state_dict`; `tables.weight` is float32, or bfloat16 as
        uint16. Its memory is shared, not copied.
    threads
        None means the number of cores available to the process.
    """

    def __init__(
        self,
        module: ModuleType,
        instruction_set: str,
        shape: ScoringShape,
        weights: Mapping[str, NDArray[Any]],
        precision: ScoringPrecision,
        threads: int | None = None,
    ) -> None:
        self._tables_RD = weights["tables.weight"]
        self._threads = threads or len(os.sched_getaffinity(0))
        self._model = module.ScoringModel(
            instruction_set,
            NUMBERS[precision],
            self._tables_RD.ctypes.data,
            NUMBERS[shape.embedding_rows],
            shape.embedding_dim,
            shape.continuous,
            list(shape.single),
            list(shape.lists),
            shape.pooling,
            [weights[f"tables.position_weights.{n}"] for n in range(shape.weighted_lists)],
            _layers(weights, "bottom", shape.bottom_layers),
            _layers(weights, "top", shape.top_layers),
            _layer(weights, "last"),
        )

    def score(
        self, ids_BF: NDArray[np.int64], dense_BC: NDArray[np.float32], bags: Sequence[Lists]
    ) -> NDArray[np.float32] | None:
        """probability_B; None if an id is outside its table.

        The caller has checked the inputs, except the range of the ids. Any strides are accepted.
        """
        probability_B = np.empty(len(ids_BF), np.float32)
        lists = [
            (np.ascontiguousarray(bag.values), np.ascontiguousarray(bag.offsets)) for bag in bags
        ]
        in_range = self._model.score(ids_BF, dense_BC, lists, probability_B, self._threads)
        return probability_B if in_range else None


def _layers(weights: Mapping[str, NDArray[Any]], name: str, count: int) -> list[tuple[Any, Any]]:
    return [_layer(weights, f"{name}.{number}") for number in range(count)]


def _layer(weights: Mapping[str, NDArray[Any]], name: str) -> tuple[Any, Any]:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]
