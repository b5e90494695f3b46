"""NVTabular's operators where they are at fault, mended: what `docs/operators.md` lists.

Each keeps the parameters and the files of the operator that it stands for.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from workflows.library import Workflow, iter_nodes, ops
from workflows.mended.buckets import Bucketize, HashBucket, HashedCross
from workflows.mended.categorify import Categorify, setting
from workflows.mended.drop import DropLowCardinality
from workflows.mended.executor import Executor
from workflows.mended.groups import JoinGroupby
from workflows.mended.numbers import (
    Clip,
    FillMedian,
    FillMissing,
    LogOp,
    Normalize,
    NormalizeMinMax,
    ReduceDtypeSize,
)
from workflows.mended.target_encoding import TargetEncoding, encoded_names

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
"""NVTabular's operator to the mended one."""


def mended(workflow: Workflow, folder: Path | None = None) -> Workflow:
    """A copy of a workflow that is not fitted, with the mended operators in place of NVTabular's.

    What they learn is written under `folder`, each operator's in a folder of its own; without one
    where the workflow says.
    """
    twin = copy.deepcopy(workflow)
    twin.executor = Executor()
    for number, node in enumerate(iter_nodes([twin.output_node])):
        node.op = _mended(node.op)
        if folder is not None and hasattr(node.op, "out_path"):
            node.op.out_path = str(folder / f"{number}")
    return twin


def set_training(workflow: Workflow, training: bool) -> None:
    """Whether the rows that are encoded next are those that the workflow was fitted on."""
    for node in iter_nodes([workflow.output_node]):
        if isinstance(node.op, TargetEncoding):
            node.op.training = training


def _mended(operator: Any) -> Any:
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
    "mended",
    "set_training",
    "setting",
]
