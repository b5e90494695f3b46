"""The operator `plumbline::relu_gradient`: opcheck, compile, strides, errors."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from plumbline.base.native import SETTING
from plumbline.dlrm.model.layers import mlp
from plumbline.dlrm.ops.relu_gradient.operator import relu_gradient

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]


def drawn(rows: int, columns: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rows + columns)
    gradient, output = torch.randn(2, rows, columns, generator=generator).to(dtype)
    return gradient, output.relu()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(0, 3), (300, 17)], ids=str)
def test_opcheck(shape, dtype):
    torch.library.opcheck(torch.ops.plumbline.relu_gradient.default, drawn(*shape, dtype))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_sum_is_not_rounded_to_the_gradients_dtype(dtype):
    gradient, output = torch.full((300, 1), 1 / 3, dtype=dtype), torch.ones(300, 1, dtype=dtype)
    kept, bias_gradient = relu_gradient(gradient, output)
    assert kept.dtype == dtype
    assert bias_gradient.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert bias_gradient.item() == pytest.approx(300 * gradient[0].item(), rel=1e-5)


def test_without_the_native_module_the_result_is_the_references(monkeypatch):
    gradient, output = drawn(40, 9)
    kept, bias_gradient = relu_gradient(gradient, output)
    monkeypatch.setenv(SETTING, "0")
    plain_kept, plain_gradient = relu_gradient(gradient, output)
    assert torch.equal(kept, plain_kept)
    assert torch.allclose(bias_gradient, plain_gradient, rtol=1e-6, atol=1e-5)


def test_any_strides():
    gradient, output = drawn(12, 10)
    wanted = relu_gradient(gradient[:, ::2].contiguous(), output[:, ::2].contiguous())
    got = relu_gradient(gradient[:, ::2], output[:, ::2])
    assert all(torch.equal(*pair) for pair in zip(got, wanted, strict=True))
    ones = torch.ones(()).expand(12, 10)
    assert torch.equal(relu_gradient(ones, output)[0], (output > 0).float())


def test_an_mlp_and_its_gradients_compile_as_one_graph():
    torch._dynamo.reset()
    stack = mlp(6, (5, 3))
    x = drawn(8, 6)[0]
    torch.compile(stack, backend="aot_eager", fullgraph=True)(x).sum().backward()
    got = [parameter.grad for parameter in stack.parameters()]
    stack.zero_grad()
    stack(x).sum().backward()
    wanted = [parameter.grad for parameter in stack.parameters()]
    assert any(gradient.abs().sum() > 0 for gradient in wanted)
    assert all(torch.allclose(*pair) for pair in zip(got, wanted, strict=True))


@pytest.mark.parametrize(
    "output",
    [torch.ones(3, 4), torch.ones(3, 5, dtype=torch.bfloat16), torch.ones(5, device="meta")],
    ids=["shape", "dtype", "dimensions"],
)
def test_refuses_an_output_that_does_not_fit(output):
    with pytest.raises(ValueError, match=r"wanted a gradient \(B, O\) .*, got \(3, 5\) float32 on"):
        relu_gradient(torch.ones(3, 5), output)
