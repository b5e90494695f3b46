"""The ladder of checks for every implementation of the interaction kernels, on any device.

Inputs and outputs are inside larger buffers. The surroundings of inputs are NaN, which exposes
kernels that use elements past the end. The surroundings of outputs must stay intact, and every
element between must be written. Results are compared with the reference in float64, with the bound
of the contract, plumbline/dlrm/ops/interaction/contract.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from plumbline.dlrm.ops.interaction.contract import InteractionKernels
from plumbline.dlrm.ops.interaction.reference import interaction_reference
from plumbline.dlrm.ops.interaction.width import interaction_width

VECTORS = (1, 2, 16, 17, 27, 31, 32, 33, 64)
DIMS = (1, 8, 16, 37, 64, 120, 128, 136, 256)
COMMON_DIMS = (16, 32, 64, 128)
"""The lengths that have CUDA kernels of their own."""

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
GUARD = 256
"""Elements on each side of every buffer: a multiple of every alignment that a kernel may use."""

UNTOUCHED = 123.0
"""The value, exact in every dtype, that surrounds the outputs."""


@dataclass(frozen=True)
class Case:
    """One call's inputs; the gradient's padding is NaN, because it must not matter."""

    dense_BD: Tensor | None
    embeddings_BFD: Tensor
    gradient_BK: Tensor

    @property
    def inputs(self) -> list[Tensor]:
        return [t for t in (self.embeddings_BFD, self.dense_BD) if t is not None]


@dataclass(frozen=True)
class Guarded:
    """A contiguous tensor and its buffer."""

    tensor: Tensor
    buffer: Tensor

    def check(self, name: str) -> Tensor:
        """The tensor; raises AssertionError if anything around it was written."""
        length = self.tensor.numel()
        start = self.tensor.storage_offset()
        assert (self.buffer[:start] == UNTOUCHED).all(), f"written before the start of {name}"
        assert (self.buffer[start + length :] == UNTOUCHED).all(), f"written past {name}'s end"
        return self.tensor


def shapes(has_dense: bool) -> list[tuple[int, int]]:
    """(features, dim) of every number of vectors and every length of the ladder."""
    features = [vectors - has_dense for vectors in VECTORS if vectors > has_dense]
    return [(count, dim) for count in features for dim in DIMS]


def draw(
    rows: int,
    features: int,
    dim: int,
    has_dense: bool,
    dtype: torch.dtype,
    device: str = "cpu",
    shift: int = 0,
) -> Case:
    """Random inputs, each `shift` elements away from an aligned address."""
    generator = torch.Generator().manual_seed(rows + 10 * features + 1000 * dim)

    def normal(*shape: int) -> Tensor:
        drawn = torch.randn(shape, generator=generator)
        placed = surrounded(shape, float("nan"), dtype, device, shift).tensor
        return placed.copy_(drawn)

    gradient_BK = normal(rows, interaction_width(features, dim, has_dense))
    gradient_BK[:, content_of(features, dim, has_dense) :] = float("nan")
    return Case(normal(rows, dim) if has_dense else None, normal(rows, features, dim), gradient_BK)


def surrounded(
    shape: tuple[int, ...], value: float, dtype: torch.dtype, device: str = "cpu", shift: int = 0
) -> Guarded:
    """A contiguous tensor of that shape in a buffer that is full of `value`."""
    length = torch.Size(shape).numel()
    buffer = torch.full((GUARD + shift + length + GUARD,), value, dtype=dtype, device=device)
    return Guarded(buffer[GUARD + shift : GUARD + shift + length].view(shape), buffer)


def content_of(features: int, dim: int, has_dense: bool) -> int:
    """Columns of the result before its padding."""
    vectors = features + has_dense
    return has_dense * dim + vectors * (vectors - 1) // 2


def run_forward(kernels: InteractionKernels, case: Case, shift: int = 0) -> Tensor:
    """The result (B, K); raises AssertionError if anything around it was written."""
    rows, features, dim = case.embeddings_BFD.shape
    width = interaction_width(features, dim, case.dense_BD is not None)
    out = _output_like(case.embeddings_BFD, (rows, width), shift)
    kernels.forward(case.dense_BD, case.embeddings_BFD, out.tensor)
    return out.check("the result")


def run_backward(kernels: InteractionKernels, case: Case, shift: int = 0) -> list[Tensor]:
    """Gradients of the embeddings and of the dense vector, if any."""
    embedding = _output_like(case.embeddings_BFD, tuple(case.embeddings_BFD.shape), shift)
    if case.dense_BD is None:
        kernels.backward(case.gradient_BK, None, case.embeddings_BFD, None, embedding.tensor)
        return [embedding.check("the embeddings' gradient")]
    dense = _output_like(case.dense_BD, tuple(case.dense_BD.shape), shift)
    kernels.backward(
        case.gradient_BK, case.dense_BD, case.embeddings_BFD, dense.tensor, embedding.tensor
    )
    return [
        embedding.check("the embeddings' gradient"),
        dense.check("the dense vector's gradient"),
    ]


def check_forward(
    kernels: InteractionKernels,
    rows: int,
    features: int,
    dim: int,
    has_dense: bool,
    dtype: torch.dtype,
    device: str = "cpu",
    shift: int = 0,
) -> None:
    """Every dot within the contract's bound, the dense part exact, the padding zero."""
    case = draw(rows, features, dim, has_dense, dtype, device, shift)
    out_BK = run_forward(kernels, case, shift)
    first, content = has_dense * dim, content_of(features, dim, has_dense)
    if case.dense_BD is not None:
        assert torch.equal(out_BK[:, :first], case.dense_BD), "the dense part is no exact copy"
    assert (out_BK[:, content:] == 0).all(), "the padding is not zero"
    wide = [tensor.cpu().double() for tensor in case.inputs]
    wanted, size = _reference(wide), _reference([tensor.abs() for tensor in wide])
    _within(out_BK[:, first:content], wanted[:, first:content], size[:, first:content], dim)


def check_backward(
    kernels: InteractionKernels,
    rows: int,
    features: int,
    dim: int,
    has_dense: bool,
    dtype: torch.dtype,
    device: str = "cpu",
    shift: int = 0,
) -> None:
    """Every element of the gradients within the contract's bound."""
    case = draw(rows, features, dim, has_dense, dtype, device, shift)
    actual = run_backward(kernels, case, shift)
    gradient_BK = case.gradient_BK.cpu().double()
    gradient_BK[:, content_of(features, dim, has_dense) :] = 0
    wide = [tensor.cpu().double() for tensor in case.inputs]
    wanted = _gradients(wide, gradient_BK)
    sizes = _gradients([tensor.abs() for tensor in wide], gradient_BK.abs())
    for got, want, size in zip(actual, wanted, sizes, strict=True):
        _within(got, want, size, terms=features + has_dense)


def check_rows_are_apart(
    kernels: InteractionKernels,
    rows: int,
    features: int,
    dim: int,
    has_dense: bool,
    dtype: torch.dtype,
    device: str = "cpu",
) -> None:
    """Values that are not finite in the second of at least three rows change no other row."""
    case = draw(rows, features, dim, has_dense, dtype, device)
    others = [row for row in range(rows) if row != 1]
    before = [run_forward(kernels, case), *run_backward(kernels, case)]
    before = [tensor[others].clone() for tensor in before]
    for tensor in (*case.inputs, case.gradient_BK):
        tensor[1] = float("inf")
        tensor[1, ..., ::2] = float("nan")
    after = [run_forward(kernels, case), *run_backward(kernels, case)]
    content = content_of(features, dim, has_dense)
    assert (after[0][:, content:] == 0).all(), "a value that is not finite is in the padding"
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one, other[others]), "a row's value leaked into another row"


def _output_like(tensor: Tensor, shape: tuple[int, ...], shift: int) -> Guarded:
    """A guarded output, filled with NaN."""
    guarded = surrounded(shape, UNTOUCHED, tensor.dtype, tensor.device.type, shift)
    guarded.tensor.fill_(float("nan"))
    return guarded


def _reference(inputs: list[Tensor]) -> Tensor:
    embeddings, *dense = inputs
    return interaction_reference(dense[0] if dense else None, embeddings)


def _gradients(inputs: list[Tensor], gradient_BK: Tensor) -> tuple[Tensor, ...]:
    leaves = [tensor.detach().requires_grad_() for tensor in inputs]
    return torch.autograd.grad(_reference(leaves), leaves, gradient_BK)


def _within(actual: Tensor, wanted: Tensor, size: Tensor, terms: int) -> None:
    """Bound float32 sums of `terms` terms, rounded once; `size` is the sum of their magnitudes."""
    kind = torch.finfo(actual.dtype)
    bound = terms * 2.0**-23 * size + kind.eps / 2 * wanted.abs() + kind.tiny
    excess = (actual.cpu().double() - wanted).abs() - bound
    wrong = ~(excess <= 0)
    if wrong.any():
        index = tuple(wrong.nonzero()[0].tolist())
        raise AssertionError(
            f"{int(wrong.sum())} of {wrong.numel()} elements are out of bound, the first at "
            f"{index}: wanted {float(wanted[index])!r} ± {float(bound[index]):.3g}, "
            f"got {float(actual[index])!r}"
        )
