"""FillMissing: replace missing numbers, integers or texts by a value."""

from __future__ import annotations

from typing import Any

from plumbline.features.operators.fill_key import FillKey
from plumbline.features.operators.fill_missing import FillMissing as FillMissingStep
from plumbline.features.steps.chains import Source
from plumbline.nvtabular.constants import is_utf8
from plumbline.nvtabular.filling import filled, flag_of_filled
from plumbline.nvtabular.library import ops
from plumbline.nvtabular.operator_call import EXACT_INTEGERS, CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.columns import keys, numbers


def fill_missing(at: OperatorCall) -> Source:
    """Filled integers are numbers, and keys for an operator that takes keys."""
    flag = flag_of_filled(at)
    if flag is not None:
        return flag
    source, value = at.source(at.output), at.operator.fill_val
    if at.type_of(source).element == "text":
        at.require(source, "text")
        if not isinstance(value, str) or not value or "\0" in value or not is_utf8(value):
            raise at.unsupported_parameter("fill_val", value, "Give text, such as 'missing'.")
        return at.step(FillKey(value), source)
    return at.step(FillMissingStep(at.number("fill_val", value)), at.numbers(at.output))


class FillMissing(ops.FillMissing):
    """Also fills integers with nulls, which stay integers, and NaN on cuDF."""

    def transform(self, col_selector: Any, df: Any) -> Any:
        return filled(self, df, col_selector.names, lambda name: self.fill_val, self._read)

    def _read(self, column: Any) -> Any:
        if isinstance(self.fill_val, str):
            return keys(column)
        is_whole = float(self.fill_val).is_integer() and abs(self.fill_val) <= EXACT_INTEGERS
        return keys(column) if column.dtype.kind in "iub" and is_whole else numbers(column)


OPERATORS = (CompiledOperator(ops.FillMissing, fill_missing, FillMissing),)
