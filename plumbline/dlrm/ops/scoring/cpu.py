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

DTYPES = {"fp32": 0, "bf16": 1}
"""As in plumbline/dlrm/kernels/cpu/dtypes.h."""


class CpuScoring:
    """A model's layers, packed for one instruction set, and its tables, which are not copied.

    `module` is `plumbline.dlrm._kernels`, and the instruction set one of its `instruction_sets()`.

    Parameters
    ----------
    weights
        The tensors of `plumbline.dlrm.model.weight_shapes`, for int8 those of `int8_shapes`. The
        memory of the tables is shared, not copied.
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
        self._weights = weights  # keeps the tables' memory
        self._threads = threads or len(os.sched_getaffinity(0))
        make = _int8_model if precision == "int8" else _float_model
        self._model = make(module, instruction_set, shape, weights, precision)

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


def _float_model(
    module: ModuleType,
    instruction_set: str,
    shape: ScoringShape,
    weights: Mapping[str, NDArray[Any]],
    precision: ScoringPrecision,
) -> Any:
    return module.ScoringModel(
        instruction_set,
        DTYPES[precision],
        weights["tables.weight"].ctypes.data,
        DTYPES[shape.embedding_rows],
        shape.embedding_dim,
        shape.continuous,
        list(shape.single),
        list(shape.lists),
        shape.pooling,
        [_layer(weights, f"bottom.{number}") for number in range(shape.bottom_layers)],
        [_layer(weights, f"top.{number}") for number in range(shape.top_layers)],
        _layer(weights, "last"),
    )


def _int8_model(
    module: ModuleType,
    instruction_set: str,
    shape: ScoringShape,
    weights: Mapping[str, NDArray[Any]],
    _: ScoringPrecision,
) -> Any:
    return module.Int8ScoringModel(
        instruction_set,
        weights["tables.weight"].ctypes.data,
        weights["tables.scale"].ctypes.data,
        shape.embedding_dim,
        shape.continuous,
        list(shape.single),
        list(shape.lists),
        shape.pooling,
        [_layer(weights, "bottom.0")] if shape.continuous else [],
        [_int8_layer(weights, f"bottom.{number}") for number in range(1, shape.bottom_layers)],
        [_int8_layer(weights, f"top.{number}") for number in range(shape.top_layers)],
        _layer(weights, "last"),
    )


def _layer(weights: Mapping[str, NDArray[Any]], name: str) -> tuple[Any, Any]:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def _int8_layer(weights: Mapping[str, NDArray[Any]], name: str) -> tuple[Any, Any, Any]:
    return weights[f"{name}.weight"], weights[f"{name}.scale"], weights[f"{name}.bias"]
