"""Tags and properties: they change a column's schema, and nothing of its values."""

from __future__ import annotations

from plumbline.nvtabular.library import METADATA
from plumbline.nvtabular.operator_call import CompiledOperator, GraphColumn, OperatorCall


def unchanged(at: OperatorCall) -> GraphColumn:
    return at.column(at.output)


OPERATORS = tuple(CompiledOperator(of, unchanged) for of in METADATA)
