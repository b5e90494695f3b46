"""The specification of the gradient of ReLU in plain torch, for any device and dtype."""

from __future__ import annotations

import torch
from torch import Tensor


class ReferenceReluGradient:
    """Implements `ReluGradientKernels`; contract.py has the contract."""

    def relu_gradient(
        self, gradient_BO: Tensor, output_BO: Tensor, kept_BO: Tensor, bias_gradient_O: Tensor
    ) -> None:
        kept_BO.copy_(torch.ops.aten.threshold_backward(gradient_BO, output_BO, 0))
        torch.sum(kept_BO, 0, dtype=bias_gradient_O.dtype, out=bias_gradient_O)
