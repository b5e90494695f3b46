"""Clip: numbers outside of two bounds become the nearer bound."""

from __future__ import annotations

from typing import Any

from plumbline.features.operators.clip import Clip as ClipStep
from plumbline.features.steps.chains import Source
from plumbline.nvtabular.library import ops
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.columns import changed


def clip(at: OperatorCall) -> Source:
    bounds = {"min_value": at.operator.min_value, "max_value": at.operator.max_value}
    minimum, maximum = (
        None if value is None else at.number(parameter, value)
        for parameter, value in bounds.items()
    )
    return at.step(ClipStep(minimum, maximum), at.numbers(at.output))


class Clip(ops.Clip):
    """Integers with nulls are clipped too."""

    def transform(self, col_selector: Any, df: Any) -> Any:
        # Given both bounds at once, pandas would swap them if they cross.
        def clipped(_: str, column: Any) -> Any:
            return column.clip(lower=self.min_value).clip(upper=self.max_value)

        return changed(df, col_selector.names, clipped)


OPERATORS = (CompiledOperator(ops.Clip, clip, Clip),)
