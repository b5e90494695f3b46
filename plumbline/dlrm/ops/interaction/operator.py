"""The operator `plumbline::interaction`: pairwise dots of a row's vectors, as in DLRM.

Legend: B rows, F embeddings of a row, D their length, N = F + 1 vectors with a dense one and F
without, K = `interaction_width(F, D, has_dense)`.

Contract, for this form and for every native kernel of the operator:

    interaction(Tensor? dense, Tensor embeddings) -> Tensor

- `embeddings` is (B, F, D) with B >= 0, F >= 1, D >= 1; `dense` is (B, D), or None.
- The result is (B, K), contiguous, shares no memory with the inputs. A row of it is

      dense[0] … dense[D-1]                              (only with `dense`)
      v1·v0, v2·v0, v2·v1, v3·v0, …, v(N-1)·v(N-2)       (strict lower triangle, row by row)
      0 … 0                                              (up to the next multiple of 8)

  where v0 is `dense` and v1 … vF are the embeddings; without `dense` v0 … v(F-1) are the
  embeddings. F = 1 without `dense` has no pair, and K is 0.
- float32, bfloat16 and float16, one dtype and one device for both; the result has that dtype.
  Products are summed in float32 and rounded once: a dot differs from the exact one by at most
  D · 2⁻²³ · Σ|a·b| + one rounding to the result's dtype. The dense part is an exact copy.
- Magnitudes below 2⁻¹²⁶, float32's smallest normal number, may count as zero: in the inputs of
  bfloat16, in products and in sums.
- Inputs need not be contiguous: they are made so. Their address need not be aligned.
- What is not finite in one row reaches no other row.
- Deterministic: equal inputs give equal bits on one machine, with one number of threads. Native
  kernels give equal bits whatever the number of threads.
- Differentiable once, in both inputs. The gradient of a vector is the sum over its partners,
  accumulated in float32 and rounded once; the zeros at the end pass no gradient on.
- Anything else raises ValueError naming what was wanted and what came.

`interaction_reference` is the specification in plain torch, differentiable by autograd, and also
takes float64. It serves where there is no native module; else tensors on a CPU are run by the
kernels of the widest instruction set that the processor has, and those on a GPU by the CUDA ones.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any, Protocol

import torch
from torch import Tensor

from plumbline.dlrm.ops.interaction.checks import (
    check_contiguous,
    check_gradient,
    check_inputs,
    check_place,
)
from plumbline.dlrm.ops.interaction.cpu import CpuInteraction
from plumbline.dlrm.ops.interaction.reference import ReferenceInteraction, interaction_reference
from plumbline.dlrm.ops.interaction.width import interaction_width
from plumbline.dlrm.ops.library import cpu_module, cuda_module

__all__ = [
    "Kernels",
    "interaction",
    "interaction_backward",
    "interaction_gradients_into",
    "interaction_into",
    "interaction_reference",
    "interaction_width",
]


@torch.library.custom_op("plumbline::interaction", mutates_args=())
def interaction(dense: Tensor | None, embeddings: Tensor) -> Tensor:
    """Pairwise dots of a dense (B, D) and embedding vectors (B, F, D): (B, K), see above."""
    check_inputs(dense, embeddings)
    out = _empty_result(dense, embeddings)
    _run_forward(_contiguous(dense), embeddings.contiguous(), out)
    return out


@interaction.register_fake
def _(dense: Tensor | None, embeddings: Tensor) -> Tensor:
    check_inputs(dense, embeddings)
    return _empty_result(dense, embeddings)


@torch.library.custom_op("plumbline::interaction_backward", mutates_args=())
def interaction_backward(
    gradient: Tensor, dense: Tensor | None, embeddings: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of `dense` (B, D) and `embeddings` (B, F, D) from that of the result (B, K).

    Without `dense` the first one has the shape (0, D).
    """
    check_inputs(dense, embeddings)
    check_gradient(gradient, dense, embeddings)
    dense_gradient, embedding_gradient = _empty_gradients(dense, embeddings)
    _run_backward(
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


def interaction_into(dense_BD: Tensor | None, embeddings_BFD: Tensor, out_BK: Tensor) -> None:
    """The operator's result, written into a tensor that is there; autograd sees nothing of it.

    A training loop that gives the same tensors again and again spares itself the first touch of
    fresh memory, which takes longer than the operator. ValueError unless all are contiguous.
    """
    check_inputs(dense_BD, embeddings_BFD)
    rows, features, dim = embeddings_BFD.shape
    width = interaction_width(features, dim, dense_BD is not None)
    check_place("interaction", out_BK, (rows, width), embeddings_BFD)
    check_contiguous("interaction", dense_BD, embeddings_BFD, out_BK)
    _run_forward(dense_BD, embeddings_BFD, out_BK)


def interaction_gradients_into(
    gradient_BK: Tensor,
    dense_BD: Tensor | None,
    embeddings_BFD: Tensor,
    dense_gradient_BD: Tensor | None,
    embedding_gradient_BFD: Tensor,
) -> None:
    """The gradients of the inputs, written into tensors that are there; see `interaction_into`.

    `dense_gradient_BD` is None exactly where `dense_BD` is.
    """
    name = "interaction_backward"
    check_inputs(dense_BD, embeddings_BFD)
    check_gradient(gradient_BK, dense_BD, embeddings_BFD)
    if (dense_gradient_BD is None) != (dense_BD is None):
        raise ValueError(f"{name}: wanted a place for the dense gradient where there is a dense")
    if dense_BD is not None and dense_gradient_BD is not None:
        check_place(name, dense_gradient_BD, tuple(dense_BD.shape), embeddings_BFD)
    check_place(name, embedding_gradient_BFD, tuple(embeddings_BFD.shape), embeddings_BFD)
    check_contiguous(
        name, gradient_BK, dense_BD, embeddings_BFD, dense_gradient_BD, embedding_gradient_BFD
    )
    _run_backward(gradient_BK, dense_BD, embeddings_BFD, dense_gradient_BD, embedding_gradient_BFD)


class Kernels(Protocol):
    """What runs the operator on checked, contiguous tensors of one device and dtype.

    `out_BK` and the gradients are written whole; `dense_gradient_BD` is None where `dense_BD` is.
    """

    def forward(self, dense_BD: Tensor | None, embeddings_BFD: Tensor, out_BK: Tensor) -> None: ...

    def backward(
        self,
        gradient_BK: Tensor,
        dense_BD: Tensor | None,
        embeddings_BFD: Tensor,
        dense_gradient_BD: Tensor | None,
        embedding_gradient_BFD: Tensor,
    ) -> None: ...


def _run_forward(dense_BD: Tensor | None, embeddings_BFD: Tensor, out_BK: Tensor) -> None:
    _kernels(embeddings_BFD.device).forward(dense_BD, embeddings_BFD, out_BK)


def _run_backward(
    gradient_BK: Tensor,
    dense_BD: Tensor | None,
    embeddings_BFD: Tensor,
    dense_gradient_BD: Tensor | None,
    embedding_gradient_BFD: Tensor,
) -> None:
    _kernels(embeddings_BFD.device).backward(
        gradient_BK, dense_BD, embeddings_BFD, dense_gradient_BD, embedding_gradient_BFD
    )


def _kernels(device: torch.device) -> Kernels:
    """What runs on that device."""
    if device.type == "cpu":
        return _cpu_kernels(cpu_module())
    return _cuda_kernels(cuda_module() if device.type == "cuda" else None)


@cache
def _cpu_kernels(module: ModuleType | None) -> Kernels:
    if module is None:
        return ReferenceInteraction()
    return CpuInteraction(module, module.instruction_sets()[-1])


@cache
def _cuda_kernels(module: ModuleType | None) -> Kernels:
    if module is None:
        return ReferenceInteraction()
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
