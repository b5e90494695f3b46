"""A graph of stages: the features of users, of items and of the request, each a part by name.

A recommender of several stages first looks for items by the features of users and items alone.
NVTabular gives each part as a workflow of its own: `workflow.get_subworkflow("item")`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add

from merlin.dag.ops.subgraph import Subgraph
from nvtabular import WorkflowNode, ops
from pydantic import NonNegativeInt

from plumbline.base.errors import ConfigError
from plumbline.columns.kinds import FeatureKind


def graph(
    kinds: Mapping[str, FeatureKind],
    *,
    user: Sequence[str],
    item: Sequence[str],
    frequency_threshold: NonNegativeInt = 0,
) -> WorkflowNode:
    """Ids of categories and lists, normalized numbers; times are left out.

    `user` and `item` are the columns of the two parts. The other columns are the part `context`.
    """
    unknown = [name for name in (*user, *item) if name not in kinds]
    if unknown:
        raise ConfigError(f"options user and item: {unknown[0]!r} is no column of the log.")
    context = [name for name in kinds if name not in (*user, *item)]
    parts = {"user": user, "item": item, "context": context}
    named = [
        Subgraph(part, features(columns, kinds, frequency_threshold))
        for part, columns in parts.items()
        if any(kinds[name] != "time" for name in columns)
    ]
    return reduce(add, named)


def features(
    columns: Sequence[str], kinds: Mapping[str, FeatureKind], frequency_threshold: int
) -> WorkflowNode:
    numbers = [name for name in columns if kinds[name] == "continuous"]
    categories = [name for name in columns if kinds[name] not in ("continuous", "time")]
    branches = []
    if categories:
        branches.append(categories >> ops.Categorify(freq_threshold=frequency_threshold))
    if numbers:
        branches.append(numbers >> ops.FillMedian() >> ops.Normalize())
    return reduce(add, branches)
