"""The graph for any log: numbers of any scale, and every step on them a setting."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from plumbline.columns.kinds import ELEMENT_KINDS, FeatureKind
from plumbline.nvtabular.assembly import assemble
from plumbline.nvtabular.library import Workflow, ops
from plumbline.nvtabular.operators.quantile_bucketize import QuantileBucketize
from plumbline.nvtabular.operators.quantile_transform import QuantileTransform
from plumbline.settings import StandardWorkflow
from plumbline.settings.workflow import FREQUENCY_THRESHOLD


def build(
    kinds: Mapping[str, FeatureKind], settings: StandardWorkflow, vocabulary_folder: Path
) -> Workflow:
    """Categories above a frequency threshold; numbers as normal scores, and in buckets beside them.

    A category that is the only feature has its frequency beside it: a DLRM multiplies pairs of
    vectors, and one makes no pair.

    Without a frequency threshold it has the one for many rows, see `settings.for_rows`. Fitting
    writes the vocabularies under `vocabulary_folder`.
    """
    continuous = sum(kind == "continuous" for kind in kinds.values())
    buckets = None
    if settings.buckets and continuous <= settings.bucket_columns:
        buckets = QuantileBucketize(settings.buckets, settings.bucket_rows)
    threshold = settings.frequency_threshold
    return assemble(
        kinds,
        vocabulary_folder,
        FREQUENCY_THRESHOLD if threshold is None else threshold,
        _number_steps(settings),
        buckets,
        _lone_category(kinds),
    )


def _lone_category(kinds: Mapping[str, FeatureKind]) -> str | None:
    """The only feature, where it is a category of one value a row."""
    if len(kinds) != 1:
        return None
    ((name, kind),) = kinds.items()
    return None if kind == "continuous" or kind in ELEMENT_KINDS else name


def _number_steps(settings: StandardWorkflow) -> list[Any]:
    fill = settings.fill
    if fill is None and not settings.scores:
        fill = 0.0
    steps: list[Any] = [] if fill is None else [ops.FillMissing(fill)]
    if settings.clip_min is not None or settings.clip_max is not None:
        steps.append(ops.Clip(min_value=settings.clip_min, max_value=settings.clip_max))
    if settings.scores:
        return [*steps, QuantileTransform(), ops.FillMissing(0.0)]
    if settings.log:
        steps.append(ops.LogOp())
    if settings.normalize is not False:
        steps.append(ops.Normalize(out_dtype=np.float32))
    return steps
