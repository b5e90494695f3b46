"""The layer of the MLPs against torch's own layers, in every precision."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear

from plumbline.dlrm.model.layers import LinearReLU, mlp

DTYPES = [torch.float32, torch.bfloat16, torch.float16]


def drawn(rows: int, width: int, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(rows + width)
    return torch.randn(rows, width, generator=generator).to(dtype)


def layer(inputs: int, outputs: int) -> LinearReLU:
    module = LinearReLU(inputs, outputs)
    with torch.no_grad():
        module.weight.copy_(drawn(outputs, inputs) / inputs**0.5)
        module.bias.copy_(drawn(1, outputs)[0] / 4)
    return module


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(0, 3, 5), (1, 1, 1), (37, 24, 17)])
def test_output_and_gradients_are_those_of_the_parts_within_rounding(rows, inputs, outputs, dtype):
    ours = layer(inputs, outputs)
    x = drawn(rows, inputs, dtype).requires_grad_()
    output = ours(x)
    assert output.dtype == dtype
    weight, bias = (p.detach().to(dtype).double().requires_grad_() for p in ours.parameters())
    wide = x.detach().double().requires_grad_()
    wanted = torch.relu(linear(wide, weight, bias))
    eps = torch.finfo(dtype).eps
    assert torch.allclose(output.double(), wanted, rtol=2 * eps, atol=16 * eps)
    # The gradient flows where our own output, which may be rounded to zero, is above zero.
    gradient = drawn(rows, outputs, dtype)
    kept = (gradient * (output > 0)).detach()
    output.backward(gradient)
    wanted_gradients = torch.autograd.grad(
        linear(wide, weight, bias), (wide, weight, bias), kept.double()
    )
    for got, want in zip((x.grad, ours.weight.grad, ours.bias.grad), wanted_gradients, strict=True):
        assert torch.allclose(got.double(), want, rtol=2 * eps, atol=16 * eps)
    assert ours.weight.grad.dtype == ours.bias.grad.dtype == torch.float32


def test_gradients_are_those_of_finite_differences():
    double = layer(4, 3).double()

    def whole(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return torch.func.functional_call(double, {"weight": weight, "bias": bias}, (x,))

    inputs = [drawn(5, 4).double(), double.weight.detach(), double.bias.detach()]
    # Sums in float32 would not pass: the gradients of the weights are made float32.
    assert torch.autograd.gradcheck(whole, [t.requires_grad_() for t in inputs])


def test_the_input_needs_no_gradient():
    first = layer(3, 2)
    first(drawn(4, 3)).sum().backward()
    assert first.weight.grad is not None


def test_widths():
    stack = mlp(13, (8, 4))
    assert [(part.in_features, part.out_features) for part in stack] == [(13, 8), (8, 4)]
    assert list(stack.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    x = drawn(2, 13)
    assert torch.equal(mlp(13, ())(x), x)
