"""Walk a workflow's graph from its output columns back to the raw columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plumbline.base.errors import PlanError
from plumbline.columns.kinds import CLICK, FeatureKind
from plumbline.features.fitting.nodes import Node
from plumbline.features.steps.chains import Chain, type_of
from plumbline.nvtabular import advice
from plumbline.nvtabular.errors import UnsupportedOperator
from plumbline.nvtabular.library import STRUCTURAL, Workflow, name_of
from plumbline.nvtabular.operator_call import GraphColumn, OperatorCall, Reader
from plumbline.nvtabular.operators import COMPILED


class GraphWalker:
    """Compiles the columns of one workflow.

    After the walk, `readers` has a reader for every step that learns: it makes the fitted step from
    the fitted operator. `conditions` has those that training rows must meet, in order. `fitted` is
    whether the workflow is fitted already.
    """

    def __init__(self, kinds: Mapping[str, FeatureKind], fitted: bool) -> None:
        self.readers: dict[Node, Reader] = {}
        self.conditions: dict[Chain, None] = {}
        self._kinds = kinds
        self._fitted = fitted

    def outputs(self, workflow: Workflow) -> dict[str, GraphColumn]:
        """The workflow's output columns by name, in order.

        Raises
        ------
        UnsupportedOperator
            An operator, a parameter, or an order of operators that has no compiled form.
        PlanError
            Branches of different types have an output of the same name.
        """
        node = workflow.output_node
        return {name: self._column(node, name) for name in node.output_schema.column_names}

    def _column(self, node: Any, name: str) -> GraphColumn:
        operator = type(node.op)
        parents = node.parents_with_dependencies
        if operator in STRUCTURAL:
            return self._input(node, parents, name)
        if operator not in COMPILED:
            written = name_of(operator)
            remedy = advice.OPERATORS.get(written, advice.REPLACE)
            raise UnsupportedOperator.in_workflow(written, name, remedy)
        call = OperatorCall(
            node,
            name,
            lambda column: self._input(node, parents, column),
            lambda column: self._input(node, _flat(node.dependencies), column).source,
            self._kinds,
            self.readers,
            self.conditions,
            self._fitted,
        )
        return COMPILED[operator].column(call)

    def _input(self, node: Any, parents: Sequence[Any], name: str) -> GraphColumn:
        """The parents' output of that name, or the raw column."""
        branches: dict[GraphColumn, Any] = {}
        for parent in parents:
            if name in parent.output_schema.column_names:
                column = self._column(parent, name)
                branches.pop(column, None)
                branches[column] = parent
        if len(branches) > 1:
            self._require_one_type(node, name, branches)
        return next(reversed(branches), GraphColumn(name))

    def _require_one_type(self, node: Any, name: str, branches: Mapping[GraphColumn, Any]) -> None:
        """The last of several columns of one name is kept, if all have the same type."""
        kinds: dict[str, FeatureKind] = {**self._kinds, CLICK: "integer"}
        types = [str(type_of(column.source, kinds, name)) for column in branches]
        makers = [_maker(branch, name) for branch in branches.values()]
        which = f"Column {name!r} is an output of {len(branches)} branches of the workflow"
        if type(node.op) not in STRUCTURAL:
            raise PlanError(
                f"{which} that {name_of(type(node.op))} reads: {' and '.join(makers)}. Rename it "
                "in all of them but one."
            )
        if len({*types}) > 1:
            typed = [f"{type_} ({maker})" for type_, maker in zip(types, makers, strict=True)]
            raise PlanError(
                f"{which}, of the types {' and '.join(typed)}. The last one would be kept: rename "
                "it in all of them but one."
            )


def _maker(node: Any, name: str) -> str:
    """What makes the node's output of that name: an operator's name, or the raw column."""
    if type(node.op) not in STRUCTURAL:
        return name_of(type(node.op))
    parents = [p for p in node.parents_with_dependencies if name in p.output_schema.column_names]
    return _maker(parents[-1], name) if parents else "the raw column"


def is_click(name: str, column: GraphColumn) -> bool:
    return name == CLICK and column == GraphColumn(CLICK)


def output_chain(name: str, column: GraphColumn, kinds: Mapping[str, FeatureKind]) -> Chain:
    """The chain of an output column.

    Raises
    ------
    PlanError
        It uses a column that is not a feature.
    UnsupportedOperator
        Its values are neither ids nor numbers.
    """
    chain = column.source if isinstance(column.source, Chain) else Chain((column.source,), ())
    others = [raw for raw in chain.columns if raw not in kinds]
    if others or name == CLICK:
        raise PlanError(
            f"Column {name!r} reads {(others or [*chain.columns])[0]!r}: wanted a feature "
            f"column, one of {', '.join(kinds)}. The click itself has to pass through unchanged."
        )
    actual = type_of(chain, kinds, name)
    if actual.element in ("integer", "text", "time") or (
        actual.is_list and actual.element == "number"
    ):
        what = f"{actual} without an operator that makes ids of it"
        raise UnsupportedOperator.in_workflow(what, name, advice.of_output(actual))
    return chain


def _flat(nodes: Sequence[Any]) -> list[Any]:
    return [leaf for node in nodes for leaf in (node if isinstance(node, list) else [node])]
