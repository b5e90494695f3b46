"""The gradient of ReLU on its CPU kernels and in plain torch: one suite for all."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from plumbline.dlrm.ops.library import cpu_module
from plumbline.dlrm.ops.relu_gradient.contract import ReluGradientKernels
from plumbline.dlrm.ops.relu_gradient.cpu import CpuReluGradient
from plumbline.dlrm.ops.relu_gradient.reference import ReferenceReluGradient

MODULE = cpu_module()
SETS = [] if MODULE is None else MODULE.instruction_sets()
NATIVE = {name: CpuReluGradient(MODULE, name) for name in SETS}
ALL: dict[str, ReluGradientKernels] = {"reference": ReferenceReluGradient(), **NATIVE}
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
SHAPES = [(0, 3), (1, 1), (3, 16), (5, 7), (64, 33), (255, 64), (256, 17), (257, 40), (1030, 130)]

every = pytest.mark.parametrize("kernels", ALL.values(), ids=ALL.keys())
native = pytest.mark.parametrize("kernels", NATIVE.values(), ids=NATIVE.keys())
dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def drawn(rows: int, columns: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A gradient with subnormal numbers, and an output of which about half is zero."""
    generator = torch.Generator().manual_seed(rows + 1000 * columns)
    gradient, output = torch.randn(2, rows, columns, generator=generator).to(dtype)
    gradient.view(-1)[::5] = torch.finfo(dtype).smallest_normal / 4
    return gradient, output.relu()


def run(kernels: ReluGradientKernels, gradient: Tensor, output: Tensor) -> tuple[Tensor, Tensor]:
    kept = torch.full_like(gradient, 9.0)
    bias_gradient = torch.full((gradient.shape[1],), 9.0)
    kernels.relu_gradient(gradient, output, kept, bias_gradient)
    return kept, bias_gradient


@every
@dtypes
def test_the_gradient_is_kept_to_the_bit_and_its_sum_within_its_bound(kernels, dtype):
    for rows, columns in SHAPES:
        gradient, output = drawn(rows, columns, dtype)
        kept, bias_gradient = run(kernels, gradient, output)
        wanted = gradient.where(output > 0, 0.0)
        assert torch.equal(kept, wanted)
        # Each of the additions rounds by half a unit of a partial sum at most.
        bound = rows * torch.finfo(torch.float32).eps * wanted.double().abs().sum(0) / 2
        assert ((bias_gradient.double() - wanted.double().sum(0)).abs() <= bound).all()


@every
@dtypes
def test_zeros_of_both_signs_stop_the_gradient_and_nan_does_not(kernels, dtype):
    output = torch.tensor([[0.0, -0.0, -1.0, float("nan"), -float("nan"), float("inf")]] * 3)
    gradient = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0, float("inf")]] * 3)
    kept, bias_gradient = run(kernels, gradient.to(dtype), output.to(dtype))
    assert kept.tolist() == [[0.0, 0.0, 0.0, 4.0, 5.0, float("inf")]] * 3
    assert bias_gradient.tolist() == [0.0, 0.0, 0.0, 12.0, 15.0, float("inf")]


@native
@dtypes
@pytest.mark.parametrize("threads", [2, 3, 7])
def test_threads_change_no_bit(kernels, dtype, threads):
    gradient, output = drawn(1500, 70, dtype)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        wanted = run(kernels, gradient, output)
        torch.set_num_threads(threads)
        got = run(kernels, gradient, output)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(*pair) for pair in zip(got, wanted, strict=True))


@native
@dtypes
def test_instruction_sets_give_the_same_bits(kernels, dtype):
    gradient, output = drawn(700, 45, dtype)
    wanted = run(NATIVE["plain"], gradient, output)
    got = run(kernels, gradient, output)
    assert all(torch.equal(*pair) for pair in zip(got, wanted, strict=True))


@native
@dtypes
@pytest.mark.parametrize("shift", [1, 3])
def test_any_address(kernels, dtype, shift):
    gradient, output = drawn(20, 19, dtype)
    moved = [
        torch.empty(t.numel() + shift, dtype=dtype)[shift:].view_as(t) for t in (gradient, output)
    ]
    for to, tensor in zip(moved, (gradient, output), strict=True):
        to.copy_(tensor)
    wanted, got = run(kernels, gradient, output), run(kernels, *moved)
    assert all(torch.equal(*pair) for pair in zip(got, wanted, strict=True))
