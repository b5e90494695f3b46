"""The MLPs' layer: a linear map and ReLU as one step, in the precision of its input.

Legend: B rows, I inputs, O outputs.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from plumbline.dlrm.ops.relu_gradient.operator import relu_gradient


class LinearReLU(nn.Linear):
    """max(0, x·Wᵀ + b).

    The weights are float32. For an input of bfloat16 or float16 they are first rounded to that
    dtype, as are the output and the gradient of the input. Products are summed in float32. The
    gradient of the matrix is rounded to that dtype, then converted to float32; the gradient of the
    bias is not rounded.
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
    """Written by hand, because autograd also keeps the output before ReLU, and passes over the
    gradient for ReLU and again for the bias; see `plumbline.dlrm.ops.relu_gradient`."""

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
        gradient_BO, bias_gradient_O = relu_gradient(gradients[0], output_BO)
        return (
            gradient_BO @ weight_OI if ctx.needs_input_grad[0] else None,
            (gradient_BO.T @ x_BI).to(ctx.weight_dtype),
            bias_gradient_O.to(ctx.weight_dtype),
        )


def _linear_relu(x_BI: Tensor, weight_OI: Tensor, bias_O: Tensor) -> Tensor:
    if x_BI.device.type == "cpu" and x_BI.dtype == torch.bfloat16 and _has_onednn():
        # One oneDNN call, without separate passes over the output for bias and ReLU.
        output_BO: Tensor = torch.ops.mkldnn._linear_pointwise(
            x_BI, weight_OI, bias_O, "relu", [], None
        )
        return output_BO
    return torch.addmm(bias_O, x_BI, weight_OI.T).relu_()


@cache
def _has_onednn() -> bool:
    """Whether oneDNN's fused linear and ReLU, as torch.compile uses it, takes bfloat16 here.

    It is not public, so it may be missing, and it needs AVX-512.
    """
    onednn = torch.ops.mkldnn
    return hasattr(onednn, "_linear_pointwise") and bool(onednn._is_mkldnn_bf16_supported())
