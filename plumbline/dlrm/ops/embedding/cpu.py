"""The CPU embedding kernels, plumbline/dlrm/kernels/cpu/embedding.h, on torch tensors.

Legend: B rows, F columns with one id a row, V id columns in all, N ids of a list column, R rows of
all tables, D embedding length.
"""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

from plumbline.dlrm.ops.address import address
from plumbline.dlrm.ops.dtypes import NUMBERS
from plumbline.dlrm.ops.embedding.contract import BagColumn, IdColumns, IdOutOfRange, RowStep
from plumbline.dlrm.ops.embedding.pooling import POOLING_NUMBERS, Pooling
from plumbline.dlrm.ops.embedding.reference import require_bag
from plumbline.dlrm.ops.embedding.single_ids import as_single_ids


class CpuEmbedding:
    """Implements `EmbeddingKernels` with `torch.get_num_threads()` threads.

    `update` accepts at most 2³² rows per table, and at most 2³² ids per column.

    Parameters
    ----------
    module
        `plumbline.dlrm._kernels`.
    instruction_set
        One of its `instruction_sets()`.
    """

    def __init__(self, module: ModuleType, instruction_set: str) -> None:
        self._module = module
        self._set = instruction_set

    def gather(self, weight_RD: Tensor, columns: IdColumns, out_BVD: Tensor) -> None:
        if columns.ids_BF.numel() == 0:
            return
        bad = self._module.embedding_gather(
            self._set,
            weight_RD.data_ptr(),
            NUMBERS[weight_RD.dtype],
            weight_RD.shape[1],
            _pointers(columns),
            *columns.ids_BF.shape,
            out_BVD.data_ptr(),
            NUMBERS[out_BVD.dtype],
            out_BVD.shape[1],
            torch.get_num_threads(),
        )
        if bad is not None:
            raise IdOutOfRange(*bad)

    def pool(self, weight_RD: Tensor, bag: BagColumn, pooling: Pooling, out_BVD: Tensor) -> None:
        bad = self._module.embedding_pool(
            self._set,
            weight_RD.data_ptr(),
            NUMBERS[weight_RD.dtype],
            weight_RD.shape[1],
            _bag(bag),
            len(out_BVD),
            POOLING_NUMBERS[pooling],
            out_BVD.data_ptr(),
            NUMBERS[out_BVD.dtype],
            out_BVD.shape[1],
            torch.get_num_threads(),
        )
        if bad is not None:
            raise IdOutOfRange(*bad)

    def update(
        self,
        weight_RD: Tensor,
        state_R: Tensor | None,
        columns: IdColumns,
        gradient_BVD: Tensor,
        step: RowStep,
    ) -> None:
        if columns.pooling not in ("sum", "mean"):  # as_single_ids reads their rows
            for bag in columns.bags:
                require_bag(bag)
        for part, gradient in as_single_ids(weight_RD, columns, gradient_BVD):
            self._update(weight_RD, state_R, part, gradient, step)

    def _update(
        self,
        weight_RD: Tensor,
        state_R: Tensor | None,
        columns: IdColumns,
        gradient_BVD: Tensor,
        step: RowStep,
    ) -> None:
        rows, singles = columns.ids_BF.shape
        bad = self._module.embedding_update(
            self._set,
            weight_RD.data_ptr(),
            NUMBERS[weight_RD.dtype],
            weight_RD.shape[1],
            address(state_R),
            _pointers(columns),
            rows,
            singles,
            [_bag(bag) for bag in columns.bags],
            columns.pooling == "mean",
            gradient_BVD.data_ptr(),
            NUMBERS[gradient_BVD.dtype],
            gradient_BVD.shape[1],
            step.learning_rate,
            step.eps,
            step.scale,
            step.k0,
            step.k1,
            torch.get_num_threads(),
        )
        if bad is not None:
            raise IdOutOfRange(*bad)


def _pointers(columns: IdColumns) -> tuple[int, ...]:
    tensors = (columns.ids_BF, columns.first_row_F, columns.cardinality_F, columns.position_F)
    return tuple(tensor.data_ptr() for tensor in tensors)


def _bag(bag: BagColumn) -> tuple[int, ...]:
    return (
        bag.ids_N.data_ptr(),
        len(bag.ids_N),
        bag.offsets_B1.data_ptr(),
        bag.first_row,
        bag.cardinality,
        bag.position,
        address(bag.weights_P),
        0 if bag.weights_P is None else len(bag.weights_P),
    )
