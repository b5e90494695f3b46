"""The contract of the gradient of ReLU, and of the bias before it.

Legend: B rows, O outputs of a layer.

For output_BO = max(0, x·Wᵀ + b) and the gradient of it,

    kept[b, o]       = 0 where output[b, o] <= 0, else gradient[b, o]
    bias_gradient[o] = Σ_b kept[b, o]

kept has the dtype and the bits of the gradient. The sum is float32, not rounded to that dtype; of
float64 it is float64. Any B >= 0 and O >= 0. Where the output is NaN the gradient is kept, as
`torch.ops.aten.threshold_backward` does.

Native kernels add in one order: row by row within parts of 256 rows, then part by part. Their
result has the same bits for any number of threads. `ReferenceReluGradient` is the specification;
implementations differ by the order of the sums only.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class ReluGradientKernels(Protocol):
    """The operation on contiguous tensors that the caller has checked."""

    def relu_gradient(
        self, gradient_BO: Tensor, output_BO: Tensor, kept_BO: Tensor, bias_gradient_O: Tensor
    ) -> None:
        """Write `kept_BO` and `bias_gradient_O`."""
