"""ValueCount: the shortest and longest list in the schema, which do not change the values."""

from __future__ import annotations

from typing import Any

from plumbline.nvtabular.library import ops
from plumbline.nvtabular.operator_call import CompiledOperator, GraphColumn, OperatorCall
from plumbline.nvtabular.patching.reductions import nothing_learned


def value_count(at: OperatorCall) -> GraphColumn:
    return at.column(at.output)


class ValueCount(ops.ValueCount):
    """Changes nothing; NVTabular's operator loads each column three times for the schema."""

    def fit(self, col_selector: Any, ddf: Any) -> Any:
        return nothing_learned(ddf)


OPERATORS = (CompiledOperator(ops.ValueCount, value_count, ValueCount),)
