"""Operators that compute ids: by boundaries, or by a hash."""

from __future__ import annotations

from typing import Any

from plumbline.features.operators.bucketize import Bucketize
from plumbline.features.operators.hash_bucket import HashBucket
from plumbline.features.operators.hashed_cross import HashedCross
from plumbline.features.steps.chains import Source
from plumbline.nvtabular.operators.operator_call import OperatorCall


def bucketize(at: OperatorCall) -> Source:
    try:
        boundaries = at.operator.boundaries(at.output)
    except LookupError:
        raise at.refuse("boundaries", None) from None
    ascending = tuple(at.number("boundaries", boundary) for boundary in boundaries)
    if list(ascending) != sorted(ascending):
        raise at.refuse("boundaries", list(ascending))
    return at.step(Bucketize(ascending), at.numbers(at.output))


def hash_bucket(at: OperatorCall) -> Source:
    num_buckets = at.operator.num_buckets
    if isinstance(num_buckets, dict):
        num_buckets = num_buckets.get(at.output)
    step = HashBucket(at.count("num_buckets", num_buckets))
    source = at.source(at.output)
    if at.type_of(source).element == "number" and not is_exact(source):
        # Its ids would depend on the last bit of a rounded number.
        raise at.unsupported("HashBucket on computed numbers")
    return at.step(step, source)


def hashed_cross(at: OperatorCall) -> Source:
    """NVTabular crosses all the columns that are selected, whatever their groups."""
    num_buckets: Any = at.operator.num_buckets
    if isinstance(num_buckets, dict):
        num_buckets = num_buckets.get(at.inputs)
    step = HashedCross(at.count("num_buckets", num_buckets))
    parts = [at.wanted(at.source(name), "integer", "text", "ids") for name in at.inputs]
    return at.step(step, *parts)


def is_exact(source: Source) -> bool:
    """Whether the numbers are the same to the last bit wherever they are computed."""
    if isinstance(source, str):
        return True
    return all(step.is_exact for step in source.steps) and all(
        is_exact(inner) for inner in source.sources
    )
