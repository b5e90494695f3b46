"""DropLowCardinality: marks a column, which the plan leaves out if it has too few ids."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from plumbline.base.errors import PlanError
from plumbline.nvtabular.library import Workflow, iter_nodes, ops
from plumbline.nvtabular.operator_call import CompiledOperator, GraphColumn, OperatorCall


def drop_low_cardinality(at: OperatorCall) -> GraphColumn:
    """NVTabular compares the largest id in the schema, and keeps a column that has none there."""
    column = at.column(at.output)
    dropped_already = at.fitted and not isinstance(at.operator, DropLowCardinality)
    if column.domain_excess is None or dropped_already:
        return column
    minimum = at.operator.min_cardinality - column.domain_excess
    return replace(column, minimum=max(minimum, column.minimum or 0))


class DropLowCardinality(ops.DropLowCardinality):
    """Keeps every column; the compiled plan leaves out those with too few ids.

    NVTabular's operator fails on columns without ids, keeps all columns if it should drop all, and
    breaks the operators after it.
    """

    def compute_selector(self, input_schema: Any, selector: Any, *_: Any, **__: Any) -> Any:
        return super(ops.DropLowCardinality, self).compute_selector(input_schema, selector)


def refuse_dropped(workflow: Workflow) -> None:
    """Refuse a workflow whose schema was fitted with NVTabular's own operator.

    Raises
    ------
    PlanError
        The operator has dropped columns before their cardinality was learned.
    """
    for node in iter_nodes([workflow.output_node], flatten_subgraphs=True):
        if type(node.op) is ops.DropLowCardinality and node.output_schema is not None:
            kept = node.output_schema.column_names
            dropped = [name for name in node.input_schema.column_names if name not in kept]
            if dropped:
                raise PlanError(
                    f"DropLowCardinality has dropped {', '.join(map(repr, dropped))} already. "
                    "Compile the workflow before its schema is fitted."
                )


OPERATORS = (CompiledOperator(ops.DropLowCardinality, drop_low_cardinality, DropLowCardinality),)
