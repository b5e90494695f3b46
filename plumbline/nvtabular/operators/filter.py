"""Filter: leaves out training rows for which a comparison does not hold.

A graph gives `Where` in place of a Python function:

    recent = ["price", "seen"] >> ops.Filter(Where("price", ">", 0))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from plumbline.features.operators.compare import Relation
from plumbline.nvtabular import advice
from plumbline.nvtabular.library import ColumnSelector, ops
from plumbline.nvtabular.operator_call import CompiledOperator, GraphColumn, OperatorCall, then
from plumbline.nvtabular.operators.compare import Compare


@dataclass(frozen=True, slots=True)
class Where:
    """Whether a column's value compares with a constant, as in `Compare`; False if it is missing.

    NVTabular's own `Filter` takes it too: called with a frame, it gives a mask of its rows.
    """

    column: str
    relation: Relation
    constant: Any

    def __call__(self, df: Any) -> Any:
        compared = Compare(self.relation, self.constant).transform(
            ColumnSelector([self.column]), df
        )
        return compared[self.column] == 1.0


def filtered(at: OperatorCall) -> GraphColumn:
    where = at.operator.f
    if not isinstance(where, Where):
        raise at.unsupported("Filter", advice.FUNCTION_FILTER)
    if where.column not in at.inputs:
        raise at.unsupported(
            f"Filter by {where.column!r}", "Put that column into the columns that Filter selects."
        )
    source = at.require(at.source(where.column), "number", "integer", "text", "time")
    try:
        compare = Compare(where.relation, where.constant)
        step = compare.step(at.output, [where.column], [at.type_of(source).element])
    except ValueError as error:
        raise at.unsupported(f"Filter by {where.column!r}", f"{error}.") from None
    at.keep_training_rows(then(step, (source,)))
    return at.column(at.output)


class Filter(ops.Filter):
    """Keeps every row; the engine leaves training rows out before."""

    def transform(self, col_selector: Any, df: Any) -> Any:
        return df


OPERATORS = (CompiledOperator(ops.Filter, filtered, Filter),)
