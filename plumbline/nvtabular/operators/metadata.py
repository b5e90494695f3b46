"""Operators that change a column's tags and properties, but not its values."""

from __future__ import annotations

from plumbline.nvtabular.library import METADATA
from plumbline.nvtabular.operator_call import CompiledOperator, GraphColumn, OperatorCall


def unchanged(at: OperatorCall) -> GraphColumn:
    return at.column(at.output)


OPERATORS = tuple(CompiledOperator(operator, unchanged) for operator in METADATA)
