"""How far the values of an encoded column are apart in two splits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from plumbline.dlrm.judgement.columns import SplitSurvey
from plumbline.features.drift import bins
from plumbline.features.plan.plan import OutputColumn
from plumbline.features.steps.step import NULL_ID


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
    """The population stability index of `plumbline.features.drift.bins`, of values.

    Numbers are put into tenths of the training values. Of ids, the null id, the `unseen` ids
    together, and each of the most frequent other ones in training have a bin, and all others share
    one.

    Parameters
    ----------
    train, other
        float32 or int64, each of one dimension.
    unseen, null
        The ids of values outside the vocabulary, and of missing ones.

    Returns None if one of the two has fewer than `bins.FEWEST` values.

    >>> import numpy as np
    >>> same = np.arange(1000, dtype=np.float32)
    >>> stability_index(same, same), round(stability_index(same, same + 500), 1)
    (0.0, 3.5)
    """
    if min(len(train), len(other)) < bins.FEWEST:
        return None
    is_number = train.dtype.kind == "f"
    made = bins.NumberBins.of(train) if is_number else bins.IdBins.of(train, unseen, null)
    return bins.stability_index(made.count(train), made.count(other))
