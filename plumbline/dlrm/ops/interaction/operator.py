"""The operator `plumbline::interaction`; plumbline/dlrm/ops/interaction/contract.py has the
contract."""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from plumbline.dlrm.ops.dtypes import PRECISIONS
from plumbline.dlrm.ops.interaction.checks import check_gradient, check_inputs
from plumbline.dlrm.ops.interaction.contract import InteractionKernels
from plumbline.dlrm.ops.interaction.cpu import CpuInteraction
from plumbline.dlrm.ops.interaction.reference import ReferenceInteraction
from plumbline.dlrm.ops.interaction.speed import interaction_set
from plumbline.dlrm.ops.interaction.width import interaction_width
from plumbline.dlrm.ops.library import cpu_module, required_cuda_module


@torch.library.custom_op("plumbline::interaction", mutates_args=())
def interaction(dense: Tensor | None, embeddings: Tensor) -> Tensor:
    """Pairwise dots of a dense (B, D) and embedding vectors (B, F, D): (B, K)."""
    check_inputs(dense, embeddings)
    out = _empty_result(dense, embeddings)
    kernels = interaction_kernels(embeddings.device, embeddings.dtype)
    kernels.forward(_contiguous(dense), embeddings.contiguous(), out)
    return out


@interaction.register_fake
def _(dense: Tensor | None, embeddings: Tensor) -> Tensor:
    check_inputs(dense, embeddings)
    return _empty_result(dense, embeddings)


@torch.library.custom_op("plumbline::interaction_backward", mutates_args=())
def interaction_backward(
    gradient: Tensor, dense: Tensor | None, embeddings: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of `dense` (B, D) and `embeddings` (B, F, D) from the result's gradient (B, K).

    Without `dense` the first has the shape (0, D).
    """
    check_inputs(dense, embeddings)
    check_gradient(gradient, dense, embeddings)
    dense_gradient, embedding_gradient = _empty_gradients(dense, embeddings)
    interaction_kernels(embeddings.device, embeddings.dtype).backward(
        gradient.contiguous(),
        _contiguous(dense),
        embeddings.contiguous(),
        None if dense is None else dense_gradient,
        embedding_gradient,
    )
    return dense_gradient, embedding_gradient


@interaction_backward.register_fake
def _(gradient: Tensor, dense: Tensor | None, embeddings: Tensor) -> tuple[Tensor, Tensor]:
    check_inputs(dense, embeddings)
    check_gradient(gradient, dense, embeddings)
    return _empty_gradients(dense, embeddings)


def _save_inputs(ctx: Any, inputs: tuple[Tensor | None, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor]:
    dense, embeddings = ctx.saved_tensors
    dense_gradient, embedding_gradient = interaction_backward(gradient, dense, embeddings)
    return (None if dense is None else dense_gradient), embedding_gradient


interaction.register_autograd(_backward, setup_context=_save_inputs)


def interaction_kernels(device: torch.device, dtype: torch.dtype) -> InteractionKernels:
    """The fastest kernels for tensors of this device and dtype.

    Raises MachineError for a GPU if the CUDA kernels were not built.
    """
    if device.type == "cpu":
        return _cpu_kernels(cpu_module(), dtype)
    if device.type == "cuda":
        return _cuda_kernels(required_cuda_module())
    return ReferenceInteraction()


@cache
def _cpu_kernels(module: ModuleType | None, dtype: torch.dtype) -> InteractionKernels:
    if module is None:
        return ReferenceInteraction()
    return CpuInteraction(module, interaction_set(module, PRECISIONS[dtype]))


@cache
def _cuda_kernels(module: ModuleType) -> InteractionKernels:
    from plumbline.dlrm.ops.interaction.cuda import CudaInteraction

    return CudaInteraction(module)


def _contiguous(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.contiguous()


def _empty_result(dense: Tensor | None, embeddings: Tensor) -> Tensor:
    rows, features, dim = embeddings.shape
    return embeddings.new_empty(rows, interaction_width(features, dim, dense is not None))


def _empty_gradients(dense: Tensor | None, embeddings: Tensor) -> tuple[Tensor, Tensor]:
    rows, features, dim = embeddings.shape
    dense_rows = 0 if dense is None else rows
    return embeddings.new_empty(dense_rows, dim), embeddings.new_empty(rows, features, dim)
