"""How far the values of an encoded column are apart in two splits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.dlrm.judgement.columns import SplitSurvey
from plumbline.features.plan.plan import OutputColumn
from plumbline.features.steps.step import NULL_ID

MODERATE, LARGE = 0.1, 0.25
"""Usual bounds of the index: splits are alike below the first, and not above the second."""

BUCKETS = 10
"""Buckets of a column of numbers, of equal counts in training."""

FREQUENT = 20
"""The most frequent ids in training, which have a bucket each."""

PSEUDO_ROWS = 0.5
"""Added to every bucket, so that an empty one has a logarithm."""

FEWEST = 500
"""With fewer values, chance alone makes the index about as large as its lower bound."""

_UNSEEN = -1


def column_drift(
    column: OutputColumn, surveys: Mapping[str, SplitSurvey]
) -> dict[str, float | None]:
    """`stability_index` of a column in valid and in test, each against train."""
    unseen, null = range(0), NULL_ID
    if column.is_categorical:
        unseen, null = column.id_step.unseen_ids, column.id_step.null_id
    values = {split: survey.spread[column.name] for split, survey in surveys.items()}
    return {
        split: stability_index(values["train"], values[split], unseen, null)
        for split in ("valid", "test")
    }


def stability_index(
    train: NDArray[Any], other: NDArray[Any], unseen: range = range(0), null: int = NULL_ID
) -> float | None:
    """Population stability index: Σ (q - p) ln(q / p) over buckets with the shares p and q.

    Siddiqi 2006, "Credit Risk Scorecards", chapter 6. Numbers are put into tenths of the training
    values. Of ids, the null id, the `unseen` ids together, and each of the most frequent ones in
    training have a bucket, and all others share one.

    Parameters
    ----------
    train, other
        float32 or int64, each of one dimension.
    unseen, null
        The ids of values outside the vocabulary, and of missing ones.

    Returns None if one of the two has fewer than `FEWEST` values.

    >>> same = np.arange(1000, dtype=np.float32)
    >>> stability_index(same, same), round(stability_index(same, same + 500), 1)
    (0.0, 3.5)
    """
    if min(len(train), len(other)) < FEWEST:
        return None
    if train.dtype.kind == "f":
        counts = _number_counts(train, other)
    else:
        counts = _id_counts(train, other, unseen, null)
    shares = [(count + PSEUDO_ROWS) / (count + PSEUDO_ROWS).sum() for count in counts]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def _number_counts(*values: NDArray[Any]) -> list[NDArray[np.int64]]:
    edges = np.unique(np.quantile(values[0], np.linspace(0, 1, BUCKETS + 1)[1:-1]))
    buckets = [np.searchsorted(edges, one, side="right") for one in values]
    return [np.bincount(bucket, minlength=len(edges) + 1) for bucket in buckets]


def _id_counts(
    train: NDArray[Any], other: NDArray[Any], unseen: range, null: int
) -> list[NDArray[np.int64]]:
    ids = [np.where(np.isin(one, list(unseen)), _UNSEEN, one) for one in (train, other)]
    values, counts = np.unique(ids[0], return_counts=True)
    frequent = np.sort(values[np.argsort(-counts, kind="stable")[:FREQUENT]])
    frequent = np.union1d(frequent, [_UNSEEN, null])
    found = []
    for one in ids:
        index = np.minimum(np.searchsorted(frequent, one), len(frequent) - 1)
        bucket = np.where(frequent[index] == one, index, len(frequent))
        found.append(np.bincount(bucket, minlength=len(frequent) + 1))
    return found
