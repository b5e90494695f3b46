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

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from types import ModuleType
from typing import Any, Protocol

import torch
from torch import Tensor

from dlrm.kernels.cpu_interaction import CpuInteraction
from dlrm.kernels.library import cpu_module, cuda_module

ALIGNMENT = 8
"""The result's width is a multiple of this, so that the matrix product after it stays aligned."""

DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def interaction_width(features: int, dim: int, has_dense: bool) -> int:
    """K, the width of the result, for `features` embeddings of length `dim`.

    >>> interaction_width(26, 16, has_dense=True)
    368
    >>> interaction_width(1, 16, has_dense=False)
    0
    """
    vectors = features + has_dense
    width = has_dense * dim + vectors * (vectors - 1) // 2
    return -(-width // ALIGNMENT) * ALIGNMENT


def interaction_reference(dense_BD: Tensor | None, embeddings_BFD: Tensor) -> Tensor:
    """The specification of the operator; see the head of this file for shapes and dtypes."""
    has_dense = dense_BD is not None
    _, features, dim = embeddings_BFD.shape
    dot_BNN = _dots(_vectors(dense_BD, embeddings_BFD))
    rows = len(embeddings_BFD)
    places_P = _lower_triangle(features + has_dense, dot_BNN.device)
    parts = [dot_BNN.flatten(1).index_select(1, places_P)]
    if dense_BD is not None:
        parts.insert(0, dense_BD.to(dot_BNN.dtype))
    width = sum(part.shape[1] for part in parts)
    parts.append(dot_BNN.new_zeros(rows, interaction_width(features, dim, has_dense) - width))
    return torch.cat(parts, dim=1).to(embeddings_BFD.dtype)


@torch.library.custom_op("plumbline::interaction", mutates_args=())
def interaction(dense: Tensor | None, embeddings: Tensor) -> Tensor:
    """Pairwise dots of a dense (B, D) and embedding vectors (B, F, D): (B, K), see above."""
    _check(dense, embeddings)
    out = _empty_result(dense, embeddings)
    interaction_into(_contiguous(dense), embeddings.contiguous(), out)
    return out


@interaction.register_fake
def _(dense: Tensor | None, embeddings: Tensor) -> Tensor:
    _check(dense, embeddings)
    return _empty_result(dense, embeddings)


@torch.library.custom_op("plumbline::interaction_backward", mutates_args=())
def interaction_backward(
    gradient: Tensor, dense: Tensor | None, embeddings: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of `dense` (B, D) and `embeddings` (B, F, D) from that of the result (B, K).

    Without `dense` the first one has the shape (0, D).
    """
    _check(dense, embeddings)
    _check_gradient(gradient, dense, embeddings)
    dense_gradient, embedding_gradient = _empty_gradients(dense, embeddings)
    interaction_gradients_into(
        gradient.contiguous(),
        _contiguous(dense),
        embeddings.contiguous(),
        None if dense is None else dense_gradient,
        embedding_gradient,
    )
    return dense_gradient, embedding_gradient


@interaction_backward.register_fake
def _(gradient: Tensor, dense: Tensor | None, embeddings: Tensor) -> tuple[Tensor, Tensor]:
    _check(dense, embeddings)
    _check_gradient(gradient, dense, embeddings)
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
    _check(dense_BD, embeddings_BFD)
    rows, features, dim = embeddings_BFD.shape
    width = interaction_width(features, dim, dense_BD is not None)
    _check_place("interaction", out_BK, (rows, width), embeddings_BFD)
    _check_contiguous("interaction", dense_BD, embeddings_BFD, out_BK)
    with _on(embeddings_BFD.device):
        _kernels(embeddings_BFD.device).forward(dense_BD, embeddings_BFD, out_BK)


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
    _check(dense_BD, embeddings_BFD)
    _check_gradient(gradient_BK, dense_BD, embeddings_BFD)
    if (dense_gradient_BD is None) != (dense_BD is None):
        raise ValueError(f"{name}: wanted a place for the dense gradient where there is a dense")
    if dense_BD is not None and dense_gradient_BD is not None:
        _check_place(name, dense_gradient_BD, _shape(dense_BD), embeddings_BFD)
    _check_place(name, embedding_gradient_BFD, _shape(embeddings_BFD), embeddings_BFD)
    _check_contiguous(
        name, gradient_BK, dense_BD, embeddings_BFD, dense_gradient_BD, embedding_gradient_BFD
    )
    with _on(embeddings_BFD.device):
        _kernels(embeddings_BFD.device).backward(
            gradient_BK, dense_BD, embeddings_BFD, dense_gradient_BD, embedding_gradient_BFD
        )


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


class ReferenceInteraction:
    """The specification as kernels, for any device."""

    def forward(self, dense_BD: Tensor | None, embeddings_BFD: Tensor, out_BK: Tensor) -> None:
        """Write the result into `out_BK`."""
        out_BK.copy_(interaction_reference(dense_BD, embeddings_BFD))

    def backward(
        self,
        gradient_BK: Tensor,
        dense_BD: Tensor | None,
        embeddings_BFD: Tensor,
        dense_gradient_BD: Tensor | None,
        embedding_gradient_BFD: Tensor,
    ) -> None:
        """Write the inputs' gradients."""
        vector_BND = _vectors(dense_BD, embeddings_BFD)
        rows, vectors, dim = vector_BND.shape
        first = 0 if dense_BD is None else dim
        pairs = vectors * (vectors - 1) // 2
        symmetric_BNN = vector_BND.new_zeros(rows, vectors * vectors)
        symmetric_BNN[:, _lower_triangle(vectors, gradient_BK.device)] = gradient_BK[
            :, first : first + pairs
        ].to(vector_BND.dtype)
        symmetric_BNN = symmetric_BNN.view(rows, vectors, vectors)
        symmetric_BNN = symmetric_BNN + symmetric_BNN.transpose(1, 2)
        gradient_BND = torch.bmm(symmetric_BNN, vector_BND)
        if dense_gradient_BD is None:
            embedding_gradient_BFD.copy_(gradient_BND)
        else:
            dense_gradient_BD.copy_(gradient_BND[:, 0] + gradient_BK[:, :dim])
            embedding_gradient_BFD.copy_(gradient_BND[:, 1:])


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
    from dlrm.kernels.cuda_interaction import CudaInteraction

    made: Kernels = CudaInteraction(module)
    return made


def _on(device: torch.device) -> AbstractContextManager[Any]:
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def _contiguous(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.contiguous()


def _empty_result(dense: Tensor | None, embeddings: Tensor) -> Tensor:
    rows, features, dim = embeddings.shape
    return embeddings.new_empty(rows, interaction_width(features, dim, dense is not None))


def _empty_gradients(dense: Tensor | None, embeddings: Tensor) -> tuple[Tensor, Tensor]:
    rows, features, dim = embeddings.shape
    dense_rows = 0 if dense is None else rows
    return embeddings.new_empty(dense_rows, dim), embeddings.new_empty(rows, features, dim)


def _vectors(dense_BD: Tensor | None, embeddings_BFD: Tensor) -> Tensor:
    """All vectors of a row, (B, N, D), in the dtype that products are summed in."""
    wide = torch.float64 if embeddings_BFD.dtype == torch.float64 else torch.float32
    embeddings_BFD = embeddings_BFD.to(wide)
    if dense_BD is None:
        return embeddings_BFD.contiguous()
    return torch.cat([dense_BD.to(wide).unsqueeze(1), embeddings_BFD], dim=1)


def _dots(vector_BND: Tensor) -> Tensor:
    return torch.bmm(vector_BND, vector_BND.transpose(1, 2))


def _lower_triangle(vectors: int, device: torch.device) -> Tensor:
    """Places of the strict lower triangle, row by row, in a flattened (N, N) matrix."""
    row_P, column_P = torch.tril_indices(vectors, vectors, offset=-1, device=device)
    places_P: Tensor = row_P * vectors + column_P
    return places_P


def _check(dense: Tensor | None, embeddings: Tensor) -> None:
    if embeddings.dim() != 3 or embeddings.shape[1] < 1 or embeddings.shape[2] < 1:
        raise ValueError(
            "interaction: wanted embeddings of shape (B, F, D) with F >= 1 and D >= 1, "
            f"got {_shape(embeddings)}"
        )
    if embeddings.dtype not in DTYPES:
        raise ValueError(
            "interaction: wanted embeddings of float32, bfloat16 or float16, "
            f"got {_name(embeddings.dtype)}"
        )
    if dense is None:
        return
    rows, _, dim = embeddings.shape
    if dense.dim() != 2 or dense.shape[0] != rows or dense.shape[1] != dim:
        raise ValueError(
            f"interaction: wanted dense of shape {(rows, dim)} beside embeddings of shape "
            f"{_shape(embeddings)}, got {_shape(dense)}"
        )
    if dense.dtype != embeddings.dtype:
        raise ValueError(
            f"interaction: wanted dense of dtype {_name(embeddings.dtype)} like the embeddings, "
            f"got {_name(dense.dtype)}"
        )
    if dense.device != embeddings.device:
        raise ValueError(
            f"interaction: wanted dense on {embeddings.device} like the embeddings, "
            f"got {dense.device}"
        )


def _check_gradient(gradient: Tensor, dense: Tensor | None, embeddings: Tensor) -> None:
    rows, features, dim = embeddings.shape
    width = interaction_width(features, dim, dense is not None)
    _check_like("interaction_backward: wanted a gradient", gradient, (rows, width), embeddings)


def _check_place(name: str, place: Tensor, shape: tuple[int, ...], like: Tensor) -> None:
    _check_like(f"{name}: wanted a place for the result", place, shape, like)


def _check_like(wanted: str, tensor: Tensor, shape: tuple[int, ...], like: Tensor) -> None:
    fits = tensor.dim() == len(shape) and all(
        came == size for came, size in zip(tensor.shape, shape, strict=True)
    )
    if not fits or tensor.dtype != like.dtype or tensor.device != like.device:
        raise ValueError(
            f"{wanted} of shape {shape}, {_name(like.dtype)} on {like.device}, got "
            f"{_shape(tensor)}, {_name(tensor.dtype)} on {tensor.device}"
        )


def _check_contiguous(name: str, *tensors: Tensor | None) -> None:
    for tensor in tensors:
        if tensor is not None and not tensor.is_contiguous():
            raise ValueError(
                f"{name}: wanted contiguous tensors, got strides {tensor.stride()} for the shape "
                f"{_shape(tensor)}"
            )


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
