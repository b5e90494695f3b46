"""The precision of the layers, and loss scaling for small float16 gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from plumbline.base.device import Device
from plumbline.dlrm.ops.dtypes import Precision
from plumbline.dlrm.ops.library import has_bfloat16
from plumbline.dlrm.train.speed import fastest_products


def training_precision(requested: Literal["auto"] | Precision, device: Device) -> Precision:
    """`auto`: on a CPU bf16 if it has instructions for it and a measurement shows it faster, else
    fp32; on a GPU bf16 if it has instructions for it, else fp16."""
    if requested != "auto":
        return requested
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return fastest_products() if has_bfloat16() else "fp32"


class LossScale:
    """Dynamic loss scaling: multiplies the loss to keep gradients above float16's smallest number.

    If a gradient is not finite, the step is skipped and the scale halved. The scale is doubled
    after 2,000 good steps. Micikevicius et al. 2018, "Mixed Precision Training", section 3.2. Other
    dtypes have the range of float32: their scale is 1, and no gradient is checked.

    torch.amp.GradScaler does the same for an optimizer's parameters. The embedding vectors are not
    parameters: their gradient must be checked with the others, and the kernel that applies it also
    applies the scale.
    """

    FIRST = 2.0**16
    STEPS_TO_DOUBLE = 2000

    def __init__(self, precision: Precision) -> None:
        self._active = precision == "fp16"
        self.value = self.FIRST if self._active else 1.0
        self._good_steps = 0

    def accepts(self, gradients: Iterable[Tensor]) -> bool:
        """Whether to apply the step; adjusts the scale for later steps."""
        if not self._active:
            return True
        finite = [torch.isfinite(gradient).all() for gradient in gradients]
        if not torch.stack(finite).all():  # waits for the device, once for all gradients
            self.value, self._good_steps = self.value / 2, 0
            return False
        self._good_steps += 1
        if self._good_steps == self.STEPS_TO_DOUBLE:
            self.value, self._good_steps = self.value * 2, 0
        return True

    def state(self) -> Tensor:
        return torch.tensor([self.value, self._good_steps], dtype=torch.float64)

    def load(self, state: Tensor) -> None:
        self.value, self._good_steps = float(state[0]), int(state[1])
