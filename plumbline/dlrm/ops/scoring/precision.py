"""The precision in which rows are scored. Needs no torch."""

from __future__ import annotations

from typing import Literal

from plumbline.dlrm.ops.library import cpu_module, has_bfloat16
from plumbline.dlrm.ops.scoring.speed import fastest_precision

ScoringPrecision = Literal["fp32", "bf16", "int8"]


def scoring_precision(setting: Literal["auto"] | ScoringPrecision) -> ScoringPrecision:
    """`auto`: bf16 if the processor has instructions for it and a measurement shows it faster."""
    if setting != "auto":
        return setting
    module = cpu_module()
    if module is None or not has_bfloat16():
        return "fp32"
    return fastest_precision(module)
