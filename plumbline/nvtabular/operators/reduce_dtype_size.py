"""ReduceDtypeSize: changes nothing, because the encoded files have types of their own."""

from __future__ import annotations

from typing import Any

from plumbline.nvtabular.library import ops
from plumbline.nvtabular.operator_call import CompiledOperator, GraphColumn, OperatorCall
from plumbline.nvtabular.patching.reductions import nothing_learned


def reduce_dtype_size(at: OperatorCall) -> GraphColumn:
    at.require_float_dtype("float_dtype", at.operator.float_dtype)
    return at.column(at.output)


class ReduceDtypeSize(ops.ReduceDtypeSize):
    """Changes nothing; NVTabular's operator fails on nulls."""

    def fit(self, col_selector: Any, ddf: Any) -> Any:
        return nothing_learned(ddf)

    def transform(self, col_selector: Any, df: Any) -> Any:
        return df


OPERATORS = (CompiledOperator(ops.ReduceDtypeSize, reduce_dtype_size, ReduceDtypeSize),)
