"""The precision in which rows are scored. Needs no torch."""

from __future__ import annotations

from typing import Literal

from plumbline.dlrm.ops.library import has_bfloat16

ScoringPrecision = Literal["fp32", "bf16", "int8"]


def scoring_precision(setting: Literal["auto"] | ScoringPrecision) -> ScoringPrecision:
    """`auto`: bf16 where the native module is there and the processor has instructions for it."""
    if setting != "auto":
        return setting
    return "bf16" if has_bfloat16() else "fp32"
