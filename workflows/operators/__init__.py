"""The compiled form of each NVTabular operator, a file a family.

An operator is looked up by its exact type: a subclass may compute something else. A parameter that
has no compiled form raises; nothing is left out.
"""

from __future__ import annotations

from collections.abc import Callable

from features.chains import Source
from workflows import mended
from workflows.library import ops
from workflows.operators.application import SUPPORTED, Application, Reader, unsupported
from workflows.operators.buckets import bucketize, hash_bucket, hashed_cross
from workflows.operators.categorify import categorify
from workflows.operators.groups import join_groupby, target_encoding
from workflows.operators.numbers import (
    clip,
    fill_median,
    fill_missing,
    log,
    normalized,
    normalized_by_bounds,
    reduced,
)
from workflows.operators.quantiles import quantile_bucketize, quantile_transform
from workflows.quantiles import QuantileBucketize, QuantileTransform

COMPILED: dict[type, Callable[[Application], Source]] = {
    ops.Bucketize: bucketize,
    ops.Categorify: categorify,
    ops.Clip: clip,
    ops.FillMedian: fill_median,
    ops.FillMissing: fill_missing,
    ops.HashBucket: hash_bucket,
    ops.HashedCross: hashed_cross,
    ops.JoinGroupby: join_groupby,
    ops.LogOp: log,
    ops.Normalize: normalized,
    ops.NormalizeMinMax: normalized_by_bounds,
    ops.ReduceDtypeSize: reduced,
    ops.TargetEncoding: target_encoding,
    QuantileBucketize: quantile_bucketize,
    QuantileTransform: quantile_transform,
}
COMPILED.update(
    {twin: COMPILED[of] for of, twin in mended.TWINS.items() if of in COMPILED},
)

__all__ = ["COMPILED", "SUPPORTED", "Application", "Reader", "unsupported"]
