"""Quality in slices of the rows: those with one value of a column, or with a range of its numbers.

Legend: B rows, N ids of a list column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.values import Lists, is_missing
from plumbline.dlrm.judgement.scored_rows import ScoredRows
from plumbline.dlrm.metrics.metrics import area_under_curve, row_losses
from plumbline.features.plan.plan import OutputColumn

FREQUENT = 8
"""The most frequent ids of a column, which have a slice each."""

FIFTHS = 5
"""Slices of a column of numbers, of equal numbers of rows."""

FEWEST_OUTCOMES = 10
"""With fewer rows with a click, or without one, a slice has no AUC."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows with a value, and the model's quality there."""

    value: str
    rows: int
    click_rate: float
    predicted: float
    """Mean score."""
    auc: float | None
    logloss: float


Rows = Iterator[tuple[str, NDArray[np.bool_]]]
"""A slice's name, and the mask of its rows."""


def slices_of(
    column: OutputColumn,
    values: NDArray[Any] | Lists,
    rows: ScoredRows,
    words: Callable[[list[int]], Mapping[int, str]],
) -> list[Slice]:
    """The column's slices that have rows. A row with a list is in the slice of each of its ids.

    Parameters
    ----------
    values
        The column of `rows`.
    words
        The raw values of ids of the vocabulary, for names.
    """
    masks = _of_ids(column, values, words) if column.is_categorical else _of_numbers(values)
    return [_slice(name, mask_B, rows) for name, mask_B in masks if mask_B.any()]


def _slice(name: str, mask_B: NDArray[np.bool_], rows: ScoredRows) -> Slice:
    click_B, probability_B = rows.click_B[mask_B], rows.probability_B[mask_B]
    clicks = int(click_B.sum())
    losses_B = row_losses(click_B.astype(np.float64), probability_B.astype(np.float64))
    enough = min(clicks, len(click_B) - clicks) >= FEWEST_OUTCOMES
    return Slice(
        value=name,
        rows=len(click_B),
        click_rate=clicks / len(click_B),
        predicted=float(probability_B.mean(dtype=np.float64)),
        auc=area_under_curve(click_B, probability_B) if enough else None,
        logloss=float(losses_B.mean()),
    )


def _of_numbers(values: Any) -> Rows:
    few = np.unique(values)
    if len(few) <= FREQUENT:
        for value in few:
            yield f"{value:.4g}", np.equal(values, value)
        return
    inner = np.unique(np.quantile(values, np.linspace(0, 1, FIFTHS + 1)[1:-1]))
    bucket_B = np.searchsorted(inner, values, side="left")
    yield f"up to {inner[0]:.4g}", np.equal(bucket_B, 0)
    for bucket, (low, high) in enumerate(pairwise([*inner, values.max()]), start=1):
        yield f"above {low:.4g}, up to {high:.4g}", np.equal(bucket_B, bucket)


def _of_ids(
    column: OutputColumn,
    values: NDArray[Any] | Lists,
    words: Callable[[list[int]], Mapping[int, str]],
) -> Rows:
    step = column.id_step
    ids_N = np.asarray(values.values if isinstance(values, Lists) else values)
    found, counts = np.unique(ids_N, return_counts=True)
    is_value = ~np.isin(found, [*step.unseen_ids, *([step.null_id] if step.unseen_ids else [])])
    known, counts = found[is_value], counts[is_value]
    frequent = known[np.argsort(-counts, kind="stable")[:FREQUENT]].tolist()
    names = words(frequent)
    for id_ in frequent:
        yield names[id_], _with(values, [id_])
    if step.unseen_ids:
        missing_B = _with(values, [step.null_id])
        if isinstance(values, Lists):
            missing_B |= is_missing(values)
        yield "(missing)", missing_B
        yield "(not in the vocabulary)", _with(values, list(step.unseen_ids))
    if len(known) > len(frequent):
        yield (
            f"({len(known) - len(frequent):,} other values)",
            _with(values, np.setdiff1d(known, frequent)),
        )


def _with(values: NDArray[Any] | Lists, ids: Any) -> NDArray[np.bool_]:
    """The rows that have one of the ids."""
    if not isinstance(values, Lists):
        return np.isin(values, ids)
    rows_N = np.repeat(np.arange(len(values)), np.diff(values.offsets))
    with_B = np.zeros(len(values), bool)
    with_B[rows_N[np.isin(np.asarray(values.values), ids)]] = True
    return with_B
