"""Walk a workflow's graph: what every output column is made of, back to the raw columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plumbline.base.errors import PlanError
from plumbline.columns.kinds import CLICK, FeatureKind
from plumbline.features.fitting.nodes import Node
from plumbline.features.operators.categorify import FitCategorify
from plumbline.features.operators.hash_bucket import HashBucket
from plumbline.features.steps.chains import Chain, Source, type_of
from plumbline.nvtabular import patched
from plumbline.nvtabular.library import DROP, METADATA, RENAME, STRUCTURAL, Workflow
from plumbline.nvtabular.operators import COMPILED, OperatorCall, Reader, unsupported


@dataclass(frozen=True, slots=True)
class Made:
    """What a column is made of; dropped where it has no more than `minimum` ids."""

    source: Source
    minimum: int | None = None


class GraphWalker:
    """The columns of one workflow.

    `readers` has, after the walk, for every unfitted step how to read what its operator learned.
    `resolved` says that NVTabular has already dropped the columns of a DropLowCardinality.
    """

    def __init__(self, kinds: Mapping[str, FeatureKind], resolved: bool) -> None:
        self.readers: dict[Node, Reader] = {}
        self._kinds = kinds
        self._resolved = resolved

    def outputs(self, workflow: Workflow) -> dict[str, Made]:
        """Output column to what it is made of, in order.

        Raises
        ------
        UnsupportedOperator
            An operator, a parameter, or an order of operators that has no compiled form.
        PlanError
            A name that comes out of two branches.
        """
        node = workflow.output_node
        return {name: self._made(node, name) for name in node.output_schema.column_names}

    def _made(self, node: Any, name: str) -> Made:
        operator = type(node.op)
        if operator in STRUCTURAL or operator in METADATA:
            return self._before(node.parents_with_dependencies, name)
        if operator in RENAME:
            return self._before(node.parents_with_dependencies, node.column_mapping[name][0])
        if operator in (*DROP, patched.DropLowCardinality):
            return self._droppable(node, name)
        if operator in COMPILED:
            return Made(COMPILED[operator](self._application(node, name)))
        raise unsupported(operator.__name__, name)

    def _application(self, node: Any, name: str) -> OperatorCall:
        def source(column: str) -> Source:
            made = self._before(node.parents_with_dependencies, column)
            if made.minimum is not None:
                raise unsupported(f"DropLowCardinality before {type(node.op).__name__}", name)
            return made.source

        return OperatorCall(
            node.op,
            name,
            _groups(node),
            source,
            lambda column: self._before(_flat(node.dependencies), column).source,
            self._kinds,
            self.readers,
        )

    def _before(self, parents: Sequence[Any], name: str) -> Made:
        """The column of that name that one of the parents gives, or the raw one."""
        found: list[Made] = []
        for parent in parents:
            if name in parent.output_schema.column_names:
                made = self._made(parent, name)
                if made not in found:
                    found.append(made)
        if len(found) > 1:
            raise PlanError(
                f"Column {name!r} comes out of {len(found)} branches of the workflow, and only one "
                "can be kept. Rename it in the others."
            )
        return found[0] if found else Made(name)

    def _droppable(self, node: Any, name: str) -> Made:
        made = self._before(node.parents_with_dependencies, name)
        minimum = node.op.min_cardinality
        if self._resolved and type(node.op) is not patched.DropLowCardinality:
            return made
        last = made.source.steps[-1] if isinstance(made.source, Chain) else None
        # NVTabular compares the largest id that the schema names, for HashBucket one too many; it
        # names none for Bucketize and HashedCross, and does not drop them.
        if isinstance(last, HashBucket):
            minimum -= 1
        elif not isinstance(last, FitCategorify):
            return made
        return Made(made.source, max(minimum, made.minimum or 0))


def is_click(name: str, made: Made) -> bool:
    return name == CLICK and made == Made(CLICK)


def check_output(name: str, made: Made, kinds: Mapping[str, FeatureKind]) -> Chain:
    """The output's chain, if it is made of feature columns and comes out as ids or numbers."""
    chain = made.source if isinstance(made.source, Chain) else Chain((made.source,), ())
    strange = [column for column in chain.columns if column not in kinds]
    if strange or name == CLICK:
        raise PlanError(
            f"Column {name!r} is made of {(strange or [*chain.columns])[0]!r}: wanted a feature "
            f"column, one of {', '.join(kinds)}. The click itself has to pass through unchanged."
        )
    found = type_of(chain, kinds, name)
    if found.element in ("integer", "text") or (found.is_list and found.element == "number"):
        raise unsupported(f"{found} without an operator that makes ids of it", name)
    return chain


def _groups(node: Any) -> tuple[tuple[str, ...], ...]:
    names = node.input_columns.resolve(node.input_schema).grouped_names
    return tuple((group,) if isinstance(group, str) else tuple(group) for group in names)


def _flat(nodes: Sequence[Any]) -> list[Any]:
    return [one for node in nodes for one in (node if isinstance(node, list) else [node])]
