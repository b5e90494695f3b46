"""The graph for Criteo's logs, as in NVTabular's and the DLRM article's preprocessing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import add

import numpy as np
from nvtabular import WorkflowNode, ops
from pydantic import NonNegativeInt, PositiveInt

from plumbline.columns.kinds import FeatureKind


def graph(
    kinds: Mapping[str, FeatureKind],
    *,
    frequency_threshold: NonNegativeInt = 15,
    max_size: PositiveInt | None = None,
) -> WorkflowNode:
    """Categories become ids. Missing and negative counts become 0; logarithms are normalized.

    Values with fewer training rows than `frequency_threshold` are out of vocabulary. With
    `max_size`, the most frequent values get the ids below it instead.
    """
    counts = [name for name, kind in kinds.items() if kind == "continuous"]
    categories = [name for name in kinds if name not in counts]
    branches = []
    if categories:
        rare = {"max_size": max_size} if max_size else {"freq_threshold": frequency_threshold}
        branches.append(categories >> ops.Categorify(**rare))
    if counts:
        logs = counts >> ops.FillMissing(0.0) >> ops.Clip(min_value=0.0) >> ops.LogOp()
        branches.append(logs >> ops.Normalize(out_dtype=np.float32))
    return reduce(add, branches)
