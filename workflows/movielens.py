"""The graph for MovieLens: ids, what is known of user and film, and what others thought of them."""

from __future__ import annotations

from collections.abc import Mapping

from nvtabular import WorkflowNode, ops
from pydantic import NonNegativeInt, PositiveInt

from plumbline.columns.kinds import CLICK, FeatureKind

AGES = [18, 25, 35, 45, 50, 56]
"""Of MovieLens' own age groups, the first of each."""


def graph(
    kinds: Mapping[str, FeatureKind],
    *,
    frequency_threshold: NonNegativeInt = 0,
    zip_buckets: PositiveInt = 200,
    folds: PositiveInt = 5,
    smoothing: float = 20,
) -> WorkflowNode:
    """The columns of `configs/movielens_graph.yaml`; the graph looks at their names.

    A training row's own click is not in the liking that it is encoded with: that of a user or a
    film is taken from the other `folds`, and drawn towards the mean by `smoothing` clicks.
    """
    ids = ["user", "item", "genres"] >> ops.Categorify(freq_threshold=frequency_threshold)
    words = ["gender", "occupation"] >> ops.Categorify()
    age = ["age"] >> ops.FillMedian()
    age_group = age >> ops.Bucketize(AGES) >> ops.Rename(postfix="_group")
    region = ["zip"] >> ops.HashBucket(zip_buckets)
    crossed = ["gender", "occupation"] >> ops.HashedCross(64)
    categories = ids + (words >> ops.DropLowCardinality(3)) + age_group + region + crossed
    counts = ["user", "item"] >> ops.JoinGroupby(stats=["count"]) >> ops.LogOp()
    liking = ["user", "item"] >> ops.TargetEncoding(CLICK, kfold=folds, p_smooth=smoothing)
    return categories + ((age + counts + liking) >> ops.Normalize())
