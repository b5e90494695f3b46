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

from plumbline.dlrm.ops.dtype_numbers import DTYPE_NUMBERS
from plumbline.dlrm.ops.embedding.pooling import POOLING_NUMBERS
from plumbline.dlrm.ops.scoring.contract import ScoringShape, position_weights
from plumbline.dlrm.ops.scoring.precision import ScoringPrecision

if TYPE_CHECKING:
    from plumbline.columns.values import Lists


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
        self._model = _model(module, instruction_set, shape, weights, precision)

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


def _model(
    module: ModuleType,
    instruction_set: str,
    shape: ScoringShape,
    weights: Mapping[str, NDArray[Any]],
    precision: ScoringPrecision,
) -> Any:
    tables = weights["tables.weight"].ctypes.data
    columns = (
        shape.embedding_dim,
        shape.continuous,
        list(shape.single),
        list(shape.lists),
        POOLING_NUMBERS[shape.pooling],
        position_weights(shape, weights),
    )
    bottom = [f"bottom.{number}" for number in range(shape.bottom_layers)]
    top = [f"top.{number}" for number in range(shape.top_layers)]
    if precision == "int8":
        first = bottom[:1] if shape.continuous else []
        return module.Int8ScoringModel(
            instruction_set,
            tables,
            weights["tables.scale"].ctypes.data,
            *columns,
            [_layer(weights, name) for name in first],
            [_int8_layer(weights, name) for name in bottom[1:]],
            [_int8_layer(weights, name) for name in top],
            _layer(weights, "last"),
        )
    return module.ScoringModel(
        instruction_set,
        DTYPE_NUMBERS[precision],
        tables,
        DTYPE_NUMBERS[shape.embedding_rows],
        *columns,
        [_layer(weights, name) for name in bottom],
        [_layer(weights, name) for name in top],
        _layer(weights, "last"),
    )


def _layer(weights: Mapping[str, NDArray[Any]], name: str) -> tuple[Any, Any]:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def _int8_layer(weights: Mapping[str, NDArray[Any]], name: str) -> tuple[Any, Any, Any]:
    return weights[f"{name}.weight"], weights[f"{name}.scale"], weights[f"{name}.bias"]
