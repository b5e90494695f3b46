"""Comparing an encoded column with NVTabular's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.features.operators.categorify import Categorify
from plumbline.features.plan.plan import OutputColumn, Plan

RTOL, ATOL = 1e-5, 1e-4
"""Of docs/operators.md, for numbers that NVTabular computes in float32: the larger one holds."""

Mask = NDArray[np.bool_]


def differing_rows(
    plan: Plan, column: OutputColumn, theirs: pd.Series, ours: pa.ChunkedArray, exact: bool
) -> tuple[Mask, bool]:
    """The rows that differ, and whether ids with equal counts are in another order.

    Values out of vocabulary may be in another bucket. `exact`: values with equal counts may not be
    in another order.
    """
    rows_of_theirs, flat_theirs = _flat(theirs)
    rows_of_ours, flat_ours = _flat(ours.to_pandas())
    lengths = np.bincount(rows_of_theirs, minlength=len(theirs))
    differs = lengths != np.bincount(rows_of_ours, minlength=len(theirs))
    if differs.any():
        return differs, False
    equal = _equal(column, flat_theirs, flat_ours)
    tied = False
    last = column.chain.steps[-1] if column.chain.steps else None
    if isinstance(last, Categorify) and not equal.all():
        equal |= _both_unknown(last, flat_theirs, flat_ours)
        if not equal.all() and not exact:
            tied = _in_another_order(plan, column, flat_theirs[~equal], flat_ours[~equal])
            equal |= tied
    differs[rows_of_ours[~equal]] = True
    return differs, tied


def _flat(column: pd.Series) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The row and the value of every element; a value that is no number is NaN."""
    lists = [np.atleast_1d(np.asarray(value, dtype=object)) for value in column]
    rows = np.repeat(np.arange(len(lists)), [len(values) for values in lists])
    values: Any = pd.Series([value for values in lists for value in values], dtype=object)
    return rows, pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan)


def _equal(column: OutputColumn, theirs: NDArray[Any], ours: NDArray[Any]) -> Mask:
    if column.is_categorical:
        same: Mask = theirs == ours
        return same
    tolerance = np.maximum(ATOL, RTOL * np.abs(theirs))
    with np.errstate(invalid="ignore"):
        close: Mask = (np.abs(theirs - ours) <= tolerance) | (theirs == ours)
    return close | (np.isnan(theirs) & np.isnan(ours))


def _both_unknown(step: Categorify, theirs: NDArray[Any], ours: NDArray[Any]) -> Mask:
    """Both ids are out of vocabulary, in buckets of hashes that differ."""
    first = 2 + step.num_buckets
    unknown: Mask = (np.minimum(theirs, ours) >= 2) & (np.maximum(theirs, ours) < first)
    return unknown


def _in_another_order(
    plan: Plan, column: OutputColumn, theirs: NDArray[Any], ours: NDArray[Any]
) -> bool:
    """Whether the ids stand for each other, one for one, and their values have equal counts."""
    vocabulary = plan.vocabulary(column)
    count = dict(zip(vocabulary.id.to_pylist(), vocabulary.count.to_pylist(), strict=True))
    pairs = {*zip(theirs.tolist(), ours.tolist(), strict=True)}
    one_to_one = len({one for one, _ in pairs}) == len({other for _, other in pairs}) == len(pairs)
    return one_to_one and all(
        one in count and count[one] == count.get(other) for one, other in pairs
    )
