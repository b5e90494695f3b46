"""The gradient of ReLU on a CPU: the native kernel of one instruction set."""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

from plumbline.dlrm.ops.dtypes import NUMBERS


class CpuReluGradient:
    """Implements `ReluGradientKernels` with `torch.get_num_threads()` threads.

    `module` is `plumbline.dlrm._kernels`, and the instruction set one of its `instruction_sets()`.
    """

    def __init__(self, module: ModuleType, instruction_set: str) -> None:
        self._kernel = module.relu_gradient
        self._instruction_set = instruction_set

    def relu_gradient(
        self, gradient_BO: Tensor, output_BO: Tensor, kept_BO: Tensor, bias_gradient_O: Tensor
    ) -> None:
        self._kernel(
            self._instruction_set,
            NUMBERS[gradient_BO.dtype],
            *gradient_BO.shape,
            gradient_BO.data_ptr(),
            output_BO.data_ptr(),
            kept_BO.data_ptr(),
            bias_gradient_O.data_ptr(),
            torch.get_num_threads(),
        )
