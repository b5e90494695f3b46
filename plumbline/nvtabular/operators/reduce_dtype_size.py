"""ReduceDtypeSize: only the type in which NVTabular stores a column; the plan has its own."""

from __future__ import annotations

from typing import Any

from plumbline.nvtabular.library import ops
from plumbline.nvtabular.operator_call import CompiledOperator, GraphColumn, OperatorCall
from plumbline.nvtabular.patching.reductions import reduced


def reduce_dtype_size(at: OperatorCall) -> GraphColumn:
    at.float_dtype("float_dtype", at.operator.float_dtype)
    return at.column(at.output)


class ReduceDtypeSize(ops.ReduceDtypeSize):
    """Changes nothing: the encoded files have types of their own. NVTabular fails on nulls."""

    def fit(self, col_selector: Any, ddf: Any) -> Any:
        return reduced(ddf, _nothing, _nothing)

    def transform(self, col_selector: Any, df: Any) -> Any:
        return df


def _nothing(_: Any) -> dict[str, Any]:
    return {}


OPERATORS = (CompiledOperator(ops.ReduceDtypeSize, reduce_dtype_size, ReduceDtypeSize),)
