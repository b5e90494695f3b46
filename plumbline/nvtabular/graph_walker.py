"""Walk a workflow's graph: what every output column is made of, back to the raw columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plumbline.base.errors import PlanError
from plumbline.columns.kinds import CLICK, FeatureKind
from plumbline.features.fitting.nodes import Node
from plumbline.features.steps.chains import Chain, type_of
from plumbline.nvtabular.errors import UnsupportedOperator
from plumbline.nvtabular.library import STRUCTURAL, Workflow
from plumbline.nvtabular.operator_call import GraphColumn, OperatorCall, Reader
from plumbline.nvtabular.operators import COMPILED, SUPPORTED


class GraphWalker:
    """The columns of one workflow.

    `readers` has, after the walk, for every unfitted step how to read what its operator learned.
    `fitted` says that the workflow is fitted already.
    """

    def __init__(self, kinds: Mapping[str, FeatureKind], fitted: bool) -> None:
        self.readers: dict[Node, Reader] = {}
        self._kinds = kinds
        self._fitted = fitted

    def outputs(self, workflow: Workflow) -> dict[str, GraphColumn]:
        """Output column to what it is made of, in order.

        Raises
        ------
        UnsupportedOperator
            An operator, a parameter, or an order of operators that has no compiled form.
        PlanError
            A name that comes out of two branches.
        """
        node = workflow.output_node
        return {name: self._column(node, name) for name in node.output_schema.column_names}

    def _column(self, node: Any, name: str) -> GraphColumn:
        operator = type(node.op)
        parents = node.parents_with_dependencies
        if operator in STRUCTURAL:
            return self._before(parents, name)
        if operator not in COMPILED:
            raise _unsupported(operator.__name__, name)
        call = OperatorCall(
            node,
            name,
            lambda column: self._before(parents, column),
            lambda column: self._before(_flat(node.dependencies), column).source,
            self._kinds,
            self.readers,
            self._fitted,
            SUPPORTED,
        )
        return COMPILED[operator].column(call)

    def _before(self, parents: Sequence[Any], name: str) -> GraphColumn:
        """The column of that name that one of the parents gives, or the raw one."""
        found: list[GraphColumn] = []
        for parent in parents:
            if name in parent.output_schema.column_names:
                made = self._column(parent, name)
                if made not in found:
                    found.append(made)
        if len(found) > 1:
            raise PlanError(
                f"Column {name!r} comes out of {len(found)} branches of the workflow, and only one "
                "can be kept. Rename it in the others."
            )
        return found[0] if found else GraphColumn(name)


def is_click(name: str, made: GraphColumn) -> bool:
    return name == CLICK and made == GraphColumn(CLICK)


def check_output(name: str, made: GraphColumn, kinds: Mapping[str, FeatureKind]) -> Chain:
    """The output's chain, if it is made of feature columns and comes out as ids or numbers."""
    chain = made.source if isinstance(made.source, Chain) else Chain((made.source,), ())
    strange = [column for column in chain.columns if column not in kinds]
    if strange or name == CLICK:
        raise PlanError(
            f"Column {name!r} reads {(strange or [*chain.columns])[0]!r}: wanted a feature "
            f"column, one of {', '.join(kinds)}. The click itself has to pass through unchanged."
        )
    found = type_of(chain, kinds, name)
    if found.element in ("integer", "text") or (found.is_list and found.element == "number"):
        raise _unsupported(f"{found} without an operator that makes ids of it", name)
    return chain


def _unsupported(what: str, column: str) -> UnsupportedOperator:
    return UnsupportedOperator.in_workflow(what, [column], SUPPORTED)


def _flat(nodes: Sequence[Any]) -> list[Any]:
    return [one for node in nodes for one in (node if isinstance(node, list) else [node])]
