"""The precision that the layers compute in, and the loss scale for small float16 gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from plumbline.base.device import Device
from plumbline.dlrm.ops.dtypes import Precision
from plumbline.dlrm.ops.library import has_bfloat16


def training_precision(requested: Literal["auto"] | Precision, device: Device) -> Precision:
    """`auto`: bf16 where the device has instructions for it; else fp16 on a GPU, fp32 on a CPU."""
    if requested != "auto":
        return requested
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if has_bfloat16() else "fp32"


class LossScale:
    """Dynamic loss scaling: the loss is multiplied, to lift its gradients above float16's least.

    The scale is halved, and the step left out, when a gradient is not finite; it is doubled after
    2,000 steps without that. Micikevicius et al. 2018, "Mixed Precision Training", section 3.2.
    Other dtypes have the range of float32: their scale is 1, and no gradient is checked.

    torch.amp.GradScaler does the same for the parameters of an optimizer. The embeddings' vectors
    are no parameters: their gradient has to be checked with the others, and the kernel that applies
    it multiplies by the scale itself.
    """

    FIRST = 2.0**16
    STEPS_TO_DOUBLE = 2000

    def __init__(self, precision: Precision) -> None:
        self._active = precision == "fp16"
        self.value = self.FIRST if self._active else 1.0
        self._good_steps = 0

    def accepts(self, gradients: Iterable[Tensor]) -> bool:
        """Whether the step may be done; moves the scale for the steps after it."""
        if not self._active:
            return True
        if not all(bool(torch.isfinite(gradient).all()) for gradient in gradients):
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
