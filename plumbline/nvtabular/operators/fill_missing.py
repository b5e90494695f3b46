"""FillMissing: replace missing numbers, integers or texts by a value."""

from __future__ import annotations

from typing import Any

from plumbline.features.operators.fill_key import FillKey
from plumbline.features.operators.fill_missing import FillMissing as FillMissingStep
from plumbline.features.steps.chains import Source
from plumbline.nvtabular.constants import is_exact_integer
from plumbline.nvtabular.filling import filled, flag_of_filled
from plumbline.nvtabular.library import ops
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.columns import keys, numbers


def fill_missing(at: OperatorCall) -> Source:
    """Filled integers are numbers, and keys for an operator that takes keys."""
    flag = flag_of_filled(at)
    if flag is not None:
        return flag
    source, value = at.source(at.output), at.operator.fill_val
    if at.type_of(source).element == "text":
        at.require(source, "text")
        text = at.text("fill_val", value, "Give text, such as 'missing'.")
        return at.step(FillKey(text), source)
    return at.step(FillMissingStep(at.number("fill_val", value)), at.numbers(at.output))


class FillMissing(ops.FillMissing):
    """Also fills integers with nulls, which stay integers, and NaN on cuDF."""

    def transform(self, col_selector: Any, df: Any) -> Any:
        return filled(self, df, col_selector.names, lambda name: self.fill_val, self._read)

    def _read(self, column: Any) -> Any:
        if isinstance(self.fill_val, str):
            return keys(column)
        stays_integer = column.dtype.kind in "iub" and is_exact_integer(self.fill_val)
        return keys(column) if stays_integer else numbers(column)


OPERATORS = (CompiledOperator(ops.FillMissing, fill_missing, FillMissing),)
