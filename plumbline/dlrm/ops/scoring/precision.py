"""The precision in which rows are scored. Needs no torch."""

from __future__ import annotations

from typing import Literal

from plumbline.dlrm.ops.library import cpu_module

ScoringPrecision = Literal["fp32", "bf16"]


def resolve_precision(setting: Literal["auto"] | ScoringPrecision) -> ScoringPrecision:
    """`auto`: bf16 where the native module is there and the processor has instructions for it."""
    if setting != "auto":
        return setting
    module = cpu_module()
    has_bf16 = module is not None and "avx512bf16" in module.instruction_sets()
    return "bf16" if has_bf16 else "fp32"
