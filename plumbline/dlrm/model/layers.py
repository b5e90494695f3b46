"""The MLPs' layer: a linear map and ReLU as one step, in the precision of its input.

Legend: B rows, I inputs, O outputs.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

_ONEDNN = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
"""oneDNN's fused linear and ReLU, as torch.compile uses it; not public, so it may be missing."""


class LinearReLU(nn.Linear):
    """max(0, x·Wᵀ + b).

    The weights are float32. For an input of bfloat16 or float16 they are first rounded to that
    dtype, as are the output and the gradient of the input. Products are summed in float32. The
    gradients of the weights are rounded to that dtype, then converted to float32.
    """

    def forward(self, x_BI: Tensor) -> Tensor:
        output_BO: Tensor = _LinearReLU.apply(x_BI, self.weight, self.bias)
        return output_BO


def mlp(width: int, layers: Sequence[int]) -> nn.Sequential:
    """`LinearReLU` layers of these widths after an input of `width`."""
    return nn.Sequential(
        *(LinearReLU(before, after) for before, after in itertools.pairwise((width, *layers)))
    )


class _LinearReLU(torch.autograd.Function):
    """Written by hand, because autograd also keeps the output before ReLU, and its sum of the bias
    gradient over rows is slow on a CPU."""

    @staticmethod
    def forward(ctx: Any, x_BI: Tensor, weight_OI: Tensor, bias_O: Tensor) -> Tensor:
        ctx.weight_dtype = weight_OI.dtype
        weight_OI, bias_O = weight_OI.to(x_BI.dtype), bias_O.to(x_BI.dtype)
        output_BO = _linear_relu(x_BI, weight_OI, bias_O)
        ctx.save_for_backward(x_BI, weight_OI, output_BO)
        return output_BO

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x_BI, weight_OI, output_BO = ctx.saved_tensors
        gradient_BO = torch.ops.aten.threshold_backward(gradients[0], output_BO, 0)
        ones_1B = gradient_BO.new_ones(1, len(gradient_BO))
        return (
            gradient_BO @ weight_OI if ctx.needs_input_grad[0] else None,
            (gradient_BO.T @ x_BI).to(ctx.weight_dtype),
            (ones_1B @ gradient_BO).squeeze(0).to(ctx.weight_dtype),
        )


def _linear_relu(x_BI: Tensor, weight_OI: Tensor, bias_O: Tensor) -> Tensor:
    if _ONEDNN is not None and x_BI.device.type == "cpu" and x_BI.dtype == torch.bfloat16:
        # One oneDNN call, without separate passes over the output for bias and ReLU.
        output_BO: Tensor = _ONEDNN(x_BI, weight_OI, bias_O, "relu", [], None)
        return output_BO
    return torch.addmm(bias_O, x_BI, weight_OI.T).relu_()
