"""The graph for Criteo's logs, as in NVTabular's and the DLRM article's preprocessing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import add

import numpy as np
from nvtabular import WorkflowNode, ops
from pydantic import NonNegativeInt

from plumbline.columns.kinds import FeatureKind


def graph(
    kinds: Mapping[str, FeatureKind], *, frequency_threshold: NonNegativeInt = 15
) -> WorkflowNode:
    """Categories become ids. Missing and negative counts become 0; logarithms are normalized.

    Values with fewer training rows than `frequency_threshold` are out of vocabulary.
    """
    counts = [name for name, kind in kinds.items() if kind == "continuous"]
    categories = [name for name in kinds if name not in counts]
    branches = []
    if categories:
        branches.append(categories >> ops.Categorify(freq_threshold=frequency_threshold))
    if counts:
        logs = counts >> ops.FillMissing(0.0) >> ops.Clip(min_value=0.0) >> ops.LogOp()
        branches.append(logs >> ops.Normalize(out_dtype=np.float32))
    return reduce(add, branches)
