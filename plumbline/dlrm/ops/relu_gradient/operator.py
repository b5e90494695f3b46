"""The operator `plumbline::relu_gradient`; contract.py has the contract.

Only compiled graphs call it through the dispatcher of torch, whose wrappers take longer than the
rest of a call on a small batch. It has no gradient of its own.

Legend: B rows, O outputs of a layer.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType

import torch
from torch import Tensor

from plumbline.dlrm.ops.dtypes import NUMBERS, dtype_name
from plumbline.dlrm.ops.library import cpu_module
from plumbline.dlrm.ops.relu_gradient.contract import ReluGradientKernels
from plumbline.dlrm.ops.relu_gradient.cpu import CpuReluGradient
from plumbline.dlrm.ops.relu_gradient.reference import ReferenceReluGradient

NAME = "plumbline::relu_gradient"

torch.library.define(NAME, "(Tensor gradient, Tensor output) -> (Tensor, Tensor)")


def _computed(gradient: Tensor, output: Tensor) -> tuple[Tensor, Tensor]:
    _check(gradient, output)
    kept, bias_gradient = _empty_results(gradient)
    _kernels(gradient).relu_gradient(
        gradient.contiguous(), output.contiguous(), kept, bias_gradient
    )
    return kept, bias_gradient


def _uncomputed(gradient: Tensor, output: Tensor) -> tuple[Tensor, Tensor]:
    _check(gradient, output)
    return _empty_results(gradient)


torch.library.impl(NAME, "default", _computed)
torch.library.register_fake(NAME, _uncomputed)


def relu_gradient(gradient_BO: Tensor, output_BO: Tensor) -> tuple[Tensor, Tensor]:
    """kept_BO and bias_gradient_O from the gradient of a layer's output and that output.

    Raises ValueError if their shapes, dtypes or devices differ.
    """
    if not torch.compiler.is_compiling():
        return _computed(gradient_BO, output_BO)
    results: tuple[Tensor, Tensor] = torch.ops.plumbline.relu_gradient.default(
        gradient_BO, output_BO
    )
    return results


def _kernels(gradient: Tensor) -> ReluGradientKernels:
    native = gradient.device.type == "cpu" and gradient.dtype in NUMBERS
    return _kernels_of(cpu_module() if native else None)


@cache
def _kernels_of(module: ModuleType | None) -> ReluGradientKernels:
    if module is None:
        return ReferenceReluGradient()
    return CpuReluGradient(module, module.instruction_sets()[-1])


def _check(gradient: Tensor, output: Tensor) -> None:
    same = gradient.dtype == output.dtype and gradient.device == output.device
    if gradient.dim() != 2 or gradient.shape != output.shape or not same:
        raise ValueError(
            "relu_gradient: wanted a gradient (B, O) and an output of the same shape, dtype and "
            f"device, got {_named(gradient)} and {_named(output)}"
        )


def _named(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {dtype_name(tensor.dtype)} on {tensor.device}"


def _empty_results(gradient: Tensor) -> tuple[Tensor, Tensor]:
    dtype = torch.float64 if gradient.dtype == torch.float64 else torch.float32
    kept = torch.empty_like(gradient, memory_format=torch.contiguous_format)
    return kept, gradient.new_empty(gradient.shape[1], dtype=dtype)
