"""The operator `plumbline::embedding`: look-ups in tables that share one buffer.

Legend: B rows, F columns with one id a row, V id columns in all, N ids of a list column, R rows of
all tables, D embedding length.

plumbline/dlrm/ops/embedding/contract.py has the contract. The operator is not differentiable: the
caller takes the gradient of the result and applies it to the rows with `EmbeddingKernels.update`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from plumbline.dlrm.ops.dtypes import NUMBERS, dtype_name
from plumbline.dlrm.ops.embedding.contract import BagColumn, EmbeddingKernels, IdColumns
from plumbline.dlrm.ops.embedding.cpu import CpuEmbedding
from plumbline.dlrm.ops.embedding.faults import IdFaults
from plumbline.dlrm.ops.embedding.pooling import Pooling
from plumbline.dlrm.ops.embedding.reference import ReferenceEmbedding
from plumbline.dlrm.ops.library import cpu_module, required_cuda_module

DTYPES = tuple(NUMBERS)
ROW_DTYPES = (torch.float32, torch.bfloat16)


@torch.library.custom_op("plumbline::embedding", mutates_args=())
def embedding(
    weight: Tensor,
    ids: Tensor,
    first_row: Tensor,
    cardinality: Tensor,
    position: Tensor,
    bag_ids: list[Tensor],
    bag_offsets: list[Tensor],
    bag_first_row: list[int],
    bag_cardinality: list[int],
    bag_position: list[int],
    bag_weights: list[Tensor],
    pooling: str,
    dtype: torch.dtype,
) -> Tensor:
    """(B, V, D) of `dtype`, contiguous: `embed` with the columns as separate arguments."""
    if dtype not in DTYPES or weight.dtype not in ROW_DTYPES:
        raise ValueError(
            "embedding: wanted rows of float32 or bfloat16, and a result of float32, bfloat16 or "
            f"float16, got {dtype_name(weight.dtype)} and {dtype_name(dtype)}"
        )
    weights: list[Tensor | None] = [weights_P.contiguous() for weights_P in bag_weights]
    bags = zip(
        bag_ids,
        bag_offsets,
        bag_first_row,
        bag_cardinality,
        bag_position,
        weights or [None] * len(bag_ids),
        strict=True,
    )
    columns = IdColumns(
        ids.contiguous(),
        first_row,
        cardinality,
        position,
        tuple(
            BagColumn(ids_N.contiguous(), offsets_B1.contiguous(), *table)
            for ids_N, offsets_B1, *table in bags
        ),
        cast(Pooling, pooling),
    )
    out_BVD = _empty_result(weight, ids, bag_ids, dtype)
    kernels = embedding_kernels(weight.device)
    if ids.shape[1]:
        kernels.gather(weight, columns, out_BVD)
    for bag in columns.bags:
        kernels.pool(weight, bag, columns.pooling, out_BVD)
    return out_BVD


@embedding.register_fake
def _(
    weight: Tensor,
    ids: Tensor,
    first_row: Tensor,
    cardinality: Tensor,
    position: Tensor,
    bag_ids: list[Tensor],
    bag_offsets: list[Tensor],
    bag_first_row: list[int],
    bag_cardinality: list[int],
    bag_position: list[int],
    bag_weights: list[Tensor],
    pooling: str,
    dtype: torch.dtype,
) -> Tensor:
    return _empty_result(weight, ids, bag_ids, dtype)


def embed(weight_RD: Tensor, columns: IdColumns, dtype: torch.dtype) -> Tensor:
    """embedding_BVD of `dtype`; the caller has checked the columns."""
    embedding_BVD: Tensor = embedding(
        weight_RD,
        columns.ids_BF,
        columns.first_row_F,
        columns.cardinality_F,
        columns.position_F,
        [bag.ids_N for bag in columns.bags],
        [bag.offsets_B1 for bag in columns.bags],
        [bag.first_row for bag in columns.bags],
        [bag.cardinality for bag in columns.bags],
        [bag.position for bag in columns.bags],
        [bag.weights_P for bag in columns.bags if bag.weights_P is not None],
        columns.pooling,
        dtype,
    )
    return embedding_BVD


def id_faults(device: torch.device) -> IdFaults | None:
    """Where the updates of a GPU note wrong ids; None for a CPU, where they raise at once."""
    return IdFaults(device) if device.type == "cuda" else None


def embedding_kernels(device: torch.device, faults: IdFaults | None = None) -> EmbeddingKernels:
    """The fastest kernels for tensors of this device.

    On a GPU a look-up does not raise for an id out of range: a check at every gather would wait for
    the device. Raises MachineError for a GPU if the CUDA kernels were not built.

    Parameters
    ----------
    faults
        See `CudaEmbedding`; None on a CPU.
    """
    if device.type == "cuda":
        from plumbline.dlrm.ops.embedding.cuda import CudaEmbedding

        return CudaEmbedding(required_cuda_module(), waits=False, faults=faults)
    module = cpu_module() if device.type == "cpu" else None
    if module is None:
        return ReferenceEmbedding()
    return CpuEmbedding(module, module.instruction_sets()[-1])


def _empty_result(
    weight: Tensor, ids: Tensor, bag_ids: Sequence[Tensor], dtype: torch.dtype
) -> Tensor:
    columns = ids.shape[1] + len(bag_ids)
    return weight.new_empty(ids.shape[0], columns, weight.shape[1], dtype=dtype)
