"""Walk a workflow's graph: for every output column its source column and the operators between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from features.errors import PlanError, UnsupportedOperator
from workflows.library import METADATA, RENAME, STRUCTURAL, Workflow
from workflows.operators import COMPILED, SUPPORTED


@dataclass(frozen=True, slots=True)
class Applied:
    """An NVTabular operator, and the name that the column has where it is applied."""

    operator: Any
    column: str


@dataclass(frozen=True, slots=True)
class Chain:
    """An output column, the raw column it comes from, and the operators in order of application."""

    output: str
    source: str
    applied: tuple[Applied, ...]


def chains(workflow: Workflow) -> tuple[Chain, ...]:
    """The chain of every output column, in output order.

    Raises
    ------
    UnsupportedOperator
        An operator without a compiled form, or one that mixes columns.
    PlanError
        The workflow has no schema yet (it was not fitted), or a name comes out of two branches.
    """
    node = workflow.output_node
    if node.output_schema is None:
        raise PlanError("The workflow is not fitted: fit it on the training split, then compile.")
    found = []
    for name in node.output_schema.column_names:
        source, applied = _trace(node, name)
        found.append(Chain(name, source, applied))
    return tuple(found)


def _trace(node: Any, name: str) -> tuple[str, tuple[Applied, ...]]:
    before = _name_before(node, name)
    origins = {
        _trace(parent, before)
        for parent in node.parents_with_dependencies
        if before in parent.output_schema.column_names
    }
    if len(origins) > 1:
        raise PlanError(
            f"Column {before!r} comes out of {len(origins)} branches of the workflow, and only one "
            "can be kept. Rename it in the others."
        )
    source, applied = origins.pop() if origins else (before, ())
    if type(node.op) in COMPILED:
        applied = (*applied, Applied(node.op, before))
    return source, applied


def _name_before(node: Any, name: str) -> str:
    """The column that `node` makes `name` of."""
    if type(node.op) in STRUCTURAL or isinstance(node.op, METADATA) or type(node.op) in COMPILED:
        return name
    if type(node.op) in RENAME:
        return str(node.column_mapping[name][0])
    raise UnsupportedOperator.in_workflow(
        type(node.op).__name__, node.input_schema.column_names, SUPPORTED
    )
