"""The graph for MovieLens: ids, attributes of users and films, and their click rates."""

from __future__ import annotations

from collections.abc import Mapping

from nvtabular import WorkflowNode, ops
from pydantic import NonNegativeInt, PositiveInt

from plumbline.columns.kinds import CLICK, FeatureKind

AGES = [18, 25, 35, 45, 50, 56]
"""The lowest age of each of MovieLens' age groups."""


def graph(
    kinds: Mapping[str, FeatureKind],
    *,
    frequency_threshold: NonNegativeInt = 0,
    zip_buckets: PositiveInt = 200,
    folds: PositiveInt = 5,
    smoothing: float = 20,
    groups: bool = False,
) -> WorkflowNode:
    """The features of the columns of `configs/movielens_graph.yaml`, which are found by name.

    The click rate of a user or a film is smoothed towards the mean by `smoothing` rows. A training
    row is encoded by the rows of the other `folds`, so its own click is not in it. With `groups`,
    pairs of attributes have ids and click rates too.
    """
    ids = ["user", "item", "genres"] >> ops.Categorify(freq_threshold=frequency_threshold)
    attributes = ["gender", "occupation"] >> ops.Categorify()
    age = ["age"] >> ops.FillMedian()
    age_group = age >> ops.Bucketize(AGES) >> ops.Rename(postfix="_group")
    region = ["zip"] >> ops.HashBucket(zip_buckets)
    crossed = ["gender", "occupation"] >> ops.HashedCross(64)
    categories = ids + (attributes >> ops.DropLowCardinality(3)) + age_group + region + crossed
    counts = ["user", "item"] >> ops.JoinGroupby(stats=["count"]) >> ops.LogOp()
    rates = ["user", "item"] >> ops.TargetEncoding(CLICK, kfold=folds, p_smooth=smoothing)
    if groups:
        pairs = [["gender", "occupation"], ["item", "gender"]]
        rates += pairs >> ops.TargetEncoding(CLICK, kfold=folds, p_smooth=smoothing)
        combined = pairs[:1] >> ops.Categorify(encode_type="combo")
        categories += combined >> ops.Rename(postfix="_pair")
    return categories + ((age + counts + rates) >> ops.Normalize())
