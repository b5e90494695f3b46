"""The graph for any log: numbers of any scale, with an option for every step."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from nvtabular import WorkflowNode, ops
from pydantic import NonNegativeInt, PositiveInt

from plumbline.columns.kinds import ELEMENT_KINDS, FeatureKind
from plumbline.expressions import QuantileBucketize, QuantileTransform

FEW_ROWS = 5_000
"""With fewer training rows, every value of a category is kept."""


def graph(
    kinds: Mapping[str, FeatureKind],
    *,
    training_rows: int,
    frequency_threshold: NonNegativeInt | None = None,
    fill: float | None = None,
    clip_min: float | None = None,
    clip_max: float | None = None,
    log: bool = False,
    normalize: bool | None = None,
    buckets: NonNegativeInt = 64,
    bucket_rows: PositiveInt = 500,
    bucket_columns: NonNegativeInt = 32,
) -> WorkflowNode:
    """Categories become ids; numbers become normal scores of their ranks, and ids of buckets.

    `docs/standard_graph.md` describes the options and what they are worth.
    """
    if log and (clip_min is None or clip_min <= -1.0):
        raise ValueError(f"log wants a clip_min above -1, got {clip_min}")
    if frequency_threshold is None:
        frequency_threshold = 2 if training_rows >= FEW_ROWS else 0
    numbers = [name for name, kind in kinds.items() if kind == "continuous"]
    categories = [name for name in kinds if name not in numbers]
    branches = []
    if categories:
        branches.append(categories >> ops.Categorify(freq_threshold=frequency_threshold))
    if numbers and buckets and len(numbers) <= bucket_columns:
        names = bucket_names(numbers, kinds)
        ids = numbers >> QuantileBucketize(buckets, bucket_rows)
        branches.append(ids >> ops.Rename(f=names.__getitem__))
    if len(kinds) == 1:
        branches += [frequency(name) for name in categories if kinds[name] not in ELEMENT_KINDS]
    if numbers:
        chain: Any = numbers
        for step in number_steps(fill, clip_min, clip_max, log, normalize):
            chain = chain >> step
        branches.append(chain)
    return reduce(add, branches)


def number_steps(
    fill: float | None,
    clip_min: float | None,
    clip_max: float | None,
    log: bool,
    normalize: bool | None,
) -> Iterable[Any]:
    """The operators on a continuous column, in order."""
    scores = normalize is None and not log
    if fill is None and not scores:
        fill = 0.0
    if fill is not None:
        yield ops.FillMissing(fill)
    if clip_min is not None or clip_max is not None:
        yield ops.Clip(min_value=clip_min, max_value=clip_max)
    if scores:
        yield QuantileTransform()
        yield ops.FillMissing(0.0)
    if log:
        yield ops.LogOp()
    if not scores and normalize is not False:
        yield ops.Normalize(out_dtype=np.float32)


def frequency(category: str) -> WorkflowNode:
    """The logarithm of the number of training rows with the value, scaled to 0 … 1.

    It is the second feature of a log with a single category: a DLRM multiplies pairs of vectors.
    """
    rows = [category] >> ops.JoinGroupby(stats=["count"]) >> ops.LogOp()
    return rows >> ops.NormalizeMinMax() >> ops.Clip(min_value=0, max_value=1)


def bucket_names(numbers: Iterable[str], taken: Container[str]) -> dict[str, str]:
    """Column to the name of its buckets: `<column>_bucket`, with `_` appended while it is taken."""
    names: dict[str, str] = {}
    for column in numbers:
        name = f"{column}_bucket"
        while name in taken or name in names.values():
            name += "_"
        names[column] = name
    return names
