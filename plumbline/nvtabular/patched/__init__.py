"""NVTabular's operators where they are at fault, patched: what `docs/operators.md` lists.

Each keeps the parameters and the files of the operator that it stands for.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from plumbline.nvtabular.library import Workflow, iter_nodes, ops
from plumbline.nvtabular.patched.buckets import Bucketize, HashBucket, HashedCross
from plumbline.nvtabular.patched.categorify import Categorify, setting
from plumbline.nvtabular.patched.drop import DropLowCardinality
from plumbline.nvtabular.patched.executor import Executor
from plumbline.nvtabular.patched.groups import JoinGroupby
from plumbline.nvtabular.patched.numbers import (
    Clip,
    FillMedian,
    FillMissing,
    LogOp,
    Normalize,
    NormalizeMinMax,
    ReduceDtypeSize,
)
from plumbline.nvtabular.patched.target_encoding import TargetEncoding, encoded_names

TWINS: dict[type, type] = {
    ops.Bucketize: Bucketize,
    ops.Categorify: Categorify,
    ops.Clip: Clip,
    ops.DropLowCardinality: DropLowCardinality,
    ops.FillMedian: FillMedian,
    ops.FillMissing: FillMissing,
    ops.HashBucket: HashBucket,
    ops.HashedCross: HashedCross,
    ops.JoinGroupby: JoinGroupby,
    ops.LogOp: LogOp,
    ops.Normalize: Normalize,
    ops.NormalizeMinMax: NormalizeMinMax,
    ops.ReduceDtypeSize: ReduceDtypeSize,
    ops.TargetEncoding: TargetEncoding,
}
"""NVTabular's operator to the patched one."""


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
    """Whether the rows that are encoded next are those that the workflow was fitted on."""
    for node in iter_nodes([workflow.output_node]):
        if isinstance(node.op, TargetEncoding):
            node.op.training = training


def _patched(operator: Any) -> Any:
    if type(operator) not in TWINS:
        return operator
    twin: Any = object.__new__(TWINS[type(operator)])
    twin.__dict__.update(operator.__dict__)
    return twin


__all__ = [
    "TWINS",
    "DropLowCardinality",
    "TargetEncoding",
    "encoded_names",
    "patched",
    "set_folder",
    "set_training",
    "setting",
]
