"""FillMissing: replace missing numbers by a number."""

from __future__ import annotations

from typing import Any

from plumbline.features.operators.fill_missing import FillMissing as FillMissingStep
from plumbline.features.steps.chains import Source
from plumbline.nvtabular.filling import filled, flag_of_filled
from plumbline.nvtabular.library import ops
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall


def fill_missing(at: OperatorCall) -> Source:
    flag = flag_of_filled(at)
    if flag is not None:
        return flag
    value = at.number("fill_val", at.operator.fill_val)
    return at.step(FillMissingStep(value), at.numbers(at.output))


class FillMissing(ops.FillMissing):
    """Also fills integers with nulls, and NaN on cuDF."""

    def transform(self, col_selector: Any, df: Any) -> Any:
        return filled(self, df, col_selector.names, lambda name: self.fill_val)


OPERATORS = (CompiledOperator(ops.FillMissing, fill_missing, FillMissing),)
