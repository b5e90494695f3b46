"""The columns that a workflow selects and subtracts exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plumbline.base.errors import PlanError, PlumblineError
from plumbline.base.printable import one_line
from plumbline.columns.kinds import CLICK, FeatureKind
from plumbline.nvtabular.errors import UnknownColumn
from plumbline.nvtabular.frames import merlin_input_schema
from plumbline.nvtabular.library import Workflow, iter_nodes, subtraction


def fit_schema(workflow: Workflow, kinds: Mapping[str, FeatureKind]) -> Workflow:
    """Compute the schemas of the workflow's nodes for these columns. Returns the workflow.

    Raises
    ------
    UnknownColumn
        The workflow selects or subtracts a column that does not exist.
    PlanError
        Merlin's `remove_inputs` has cut off a node that is still needed, or an operator fails for
        these columns.
    """
    _require_features(workflow, kinds)
    try:
        workflow.fit_schema(merlin_input_schema(kinds))
    except PlumblineError:
        raise
    except Exception as error:
        _require_selected(workflow)
        text = one_line(str(error), 300)
        if str(error).startswith("Missing columns"):
            raise PlanError(f"The workflow has lost columns: {text}") from None
        raise PlanError(
            f"NVTabular cannot compute the names of the workflow's columns: {type(error).__name__} "
            f"{text.removesuffix('.')}. Do the parameters of its operators fit the columns?"
        ) from error
    _require_selected(workflow)
    return workflow


def columns_read(workflow: Workflow) -> list[str]:
    """The raw columns that a workflow selects, in the order of its nodes."""
    names: list[str] = []
    for node in iter_nodes([workflow.output_node]):
        if node.selector is None or node.parents_with_dependencies:
            continue  # it selects nothing, or among the columns of other nodes
        names += node.selector.names
    return names


def _require_features(workflow: Workflow, kinds: Mapping[str, FeatureKind]) -> None:
    known = (*kinds, CLICK)
    for name in columns_read(workflow):
        if name not in known:
            raise UnknownColumn.named("There is no feature", name, known)


def _require_selected(workflow: Workflow) -> None:
    """Check `node["name"]` and `node - ["name"]`, as far as the schemas are computed."""
    for node in iter_nodes([workflow.output_node]):
        if any(parent.output_schema is None for parent in node.parents_with_dependencies):
            continue
        known = [name for parent in node.parents for name in parent.output_schema.column_names]
        is_difference = isinstance(node.op, subtraction.SubtractionOp)
        selector: Any = node.op.selector if is_difference else node.selector
        if not node.parents or selector is None:
            continue
        of = "subtract" if is_difference else "select"
        for name in selector.names:
            if name not in known and (is_difference or node.output_schema is None):
                raise UnknownColumn.named(f"There is no column to {of} named", name, known)
