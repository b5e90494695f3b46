"""Rename: another name for the same column."""

from __future__ import annotations

from plumbline.nvtabular.library import RENAME
from plumbline.nvtabular.operator_call import CompiledOperator, GraphColumn, OperatorCall


def renamed(at: OperatorCall) -> GraphColumn:
    (before,) = at.node.column_mapping[at.output]
    return at.column(before)


OPERATORS = tuple(CompiledOperator(operator, renamed) for operator in RENAME)
