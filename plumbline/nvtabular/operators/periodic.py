"""The sine and the cosine of a number that repeats after a period.

Sine: sin(2π x / period).
Cosine: cos(2π x / period).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from plumbline.features.operators.periodic import Cosine as CosineStep
from plumbline.features.operators.periodic import Sine as SineStep
from plumbline.features.steps.step import Step
from plumbline.features.steps.value_types import Element
from plumbline.nvtabular.constants import plain
from plumbline.nvtabular.expression import Expression, compiled
from plumbline.nvtabular.operator_call import CompiledOperator


class _Periodic(Expression):
    takes = ("number", "integer")

    def __init__(self, period: float) -> None:
        super().__init__()
        period = plain(period)
        if not (isinstance(period, (int, float)) and math.isfinite(period) and period > 0):
            raise ValueError(f"{type(self).__name__}: wanted a period above 0, got {period!r}")
        self.period = float(period)


class Sine(_Periodic):
    """sin(2π x / `period`), a number; with a `Cosine` beside it, hours 23 and 0 are neighbours."""

    def step(self, output: str, inputs: Sequence[str], taken: Sequence[Element]) -> Step:
        return SineStep(self.period)


class Cosine(_Periodic):
    """cos(2π x / `period`), a number: see `Sine`."""

    def step(self, output: str, inputs: Sequence[str], taken: Sequence[Element]) -> Step:
        return CosineStep(self.period)


OPERATORS = tuple(CompiledOperator(one, compiled) for one in (Sine, Cosine))
