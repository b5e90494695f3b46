"""Replacing NVTabular's operators in a workflow by the patched ones of `docs/operators.md`.

A patched operator has the parameters of the operator that it replaces.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from plumbline.nvtabular.library import (
    Workflow,
    iter_nodes,
    selection,
    subset_columns,
)
from plumbline.nvtabular.operators import PATCHED
from plumbline.nvtabular.patching.executor import Executor
from plumbline.nvtabular.subgraphs import inline_subgraphs


def patched(workflow: Workflow, folder: Path | None = None) -> Workflow:
    """A copy of a workflow that is not fitted, with patched operators and without schemas.

    The nodes of its Subgraphs take their place.

    If `folder` is given, each operator keeps its files in a subfolder of it; otherwise they stay at
    the paths that the workflow sets.
    """
    result = copy.deepcopy(workflow)
    result.executor = Executor()
    inline_subgraphs(result)
    for node in iter_nodes([result.output_node]):
        node.op = _patched(node.op)
    _clear_schemas(result)
    if folder is not None:
        set_folder(result, folder)
    return result


def set_folder(workflow: Workflow, folder: Path) -> None:
    """Make each operator keep its files in a subfolder of `folder`."""
    for number, node in enumerate(iter_nodes([workflow.output_node])):
        if hasattr(node.op, "out_path"):
            node.op.out_path = str(folder / f"{number}")


def set_training(workflow: Workflow, training: bool, starts: tuple[int, ...] = ()) -> None:
    """Set whether the rows that are learned from or encoded next are training rows.

    Operators that encode training rows differently have an attribute `training`, and `starts` for
    the row of the split that each partition begins with.
    """
    for node in iter_nodes([workflow.output_node]):
        if hasattr(node.op, "training"):
            node.op.training, node.op.starts = training, starts


def _patched(operator: Any) -> Any:
    if type(operator) not in PATCHED:
        return operator
    result: Any = object.__new__(PATCHED[type(operator)])
    result.__dict__.update(operator.__dict__)
    return result


def _clear_schemas(workflow: Workflow) -> None:
    """Bring a workflow back to the state before `fit_schema`.

    Merlin's `remove_inputs` also narrows what nodes select, and cuts off columns that an operator
    only learns from. A selection keeps all its columns here, so that an operator learns from the
    columns that its graph names.
    """
    for node in iter_nodes([workflow.output_node]):
        if node.output_schema is None:
            continue
        if isinstance(node.op, selection.SelectionOp):
            node.selector = node.op.selector
        elif not isinstance(node.op, subset_columns.SubsetColumns):
            node.selector = None
        learned_from = node.op.dependencies or []
        if learned_from:
            node.dependencies = []
            for column in learned_from if isinstance(learned_from, list) else [learned_from]:
                node.add_dependency(column)
        node.input_schema = node.output_schema = None
