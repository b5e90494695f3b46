"""A workflow with NVTabular's operators patched where they are at fault: see `docs/operators.md`.

The patched operators keep the parameters and the files of those that they stand for.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from plumbline.nvtabular.library import Workflow, iter_nodes
from plumbline.nvtabular.operators import PATCHED
from plumbline.nvtabular.patching.executor import Executor


def patched(workflow: Workflow, folder: Path | None = None) -> Workflow:
    """A copy of a workflow that is not fitted, with the patched operators in place of NVTabular's.

    What they learn is written under `folder`, each operator's in a folder of its own; without one
    where the workflow says.
    """
    twin = copy.deepcopy(workflow)
    twin.executor = Executor()
    for node in iter_nodes([twin.output_node]):
        node.op = _patched(node.op)
    if folder is not None:
        set_folder(twin, folder)
    return twin


def set_folder(workflow: Workflow, folder: Path) -> None:
    """Where operators write what they learn: under `folder`, each in a folder of its own."""
    for number, node in enumerate(iter_nodes([workflow.output_node])):
        if hasattr(node.op, "out_path"):
            node.op.out_path = str(folder / f"{number}")


def set_training(workflow: Workflow, training: bool) -> None:
    """Whether the rows that are encoded next are those that the workflow was fitted on.

    Operators that encode the two differently have an attribute `training`.
    """
    for node in iter_nodes([workflow.output_node]):
        if hasattr(node.op, "training"):
            node.op.training = training


def _patched(operator: Any) -> Any:
    if type(operator) not in PATCHED:
        return operator
    twin: Any = object.__new__(PATCHED[type(operator)])
    twin.__dict__.update(operator.__dict__)
    return twin
