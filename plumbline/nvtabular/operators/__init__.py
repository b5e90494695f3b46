"""The compiled form of each NVTabular operator, a file a family.

An operator is looked up by its exact type: a subclass may compute something else. A parameter that
has no compiled form raises; nothing is left out.
"""

from __future__ import annotations

from collections.abc import Callable

from plumbline.features.steps.chains import Source
from plumbline.nvtabular import patched
from plumbline.nvtabular.library import ops
from plumbline.nvtabular.operators.buckets import bucketize, hash_bucket, hashed_cross
from plumbline.nvtabular.operators.categorify import categorify
from plumbline.nvtabular.operators.groups import join_groupby, target_encoding
from plumbline.nvtabular.operators.numbers import (
    clip,
    fill_median,
    fill_missing,
    log,
    normalized,
    normalized_by_bounds,
    reduced,
)
from plumbline.nvtabular.operators.operator_call import SUPPORTED, OperatorCall, Reader, unsupported
from plumbline.nvtabular.operators.quantiles import quantile_bucketize, quantile_transform
from plumbline.nvtabular.quantiles import QuantileBucketize, QuantileTransform

COMPILED: dict[type, Callable[[OperatorCall], Source]] = {
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
    {twin: COMPILED[of] for of, twin in patched.TWINS.items() if of in COMPILED},
)

__all__ = ["COMPILED", "SUPPORTED", "OperatorCall", "Reader", "unsupported"]
