"""Replacing NVTabular's operators in a workflow by the patched ones of `docs/operators.md`.

A patched operator has the parameters of the operator that it replaces.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from plumbline.nvtabular.library import Workflow, iter_nodes
from plumbline.nvtabular.operators import PATCHED
from plumbline.nvtabular.patching.executor import Executor


def patched(workflow: Workflow, folder: Path | None = None) -> Workflow:
    """A copy of a workflow that is not fitted, with patched operators.

    If `folder` is given, each operator keeps its files in a subfolder of it; otherwise they stay at
    the paths that the workflow sets.
    """
    result = copy.deepcopy(workflow)
    result.executor = Executor()
    for node in iter_nodes([result.output_node]):
        node.op = _patched(node.op)
    if folder is not None:
        set_folder(result, folder)
    return result


def set_folder(workflow: Workflow, folder: Path) -> None:
    """Make each operator keep its files in a subfolder of `folder`."""
    for number, node in enumerate(iter_nodes([workflow.output_node])):
        if hasattr(node.op, "out_path"):
            node.op.out_path = str(folder / f"{number}")


def set_training(workflow: Workflow, training: bool) -> None:
    """Set whether the rows that are encoded next are training rows.

    Operators that encode training rows differently have an attribute `training`.
    """
    for node in iter_nodes([workflow.output_node]):
        if hasattr(node.op, "training"):
            node.op.training = training


def _patched(operator: Any) -> Any:
    if type(operator) not in PATCHED:
        return operator
    result: Any = object.__new__(PATCHED[type(operator)])
    result.__dict__.update(operator.__dict__)
    return result
