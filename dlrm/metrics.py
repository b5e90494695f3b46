"""How good click probabilities are, exactly and in float64.

Legend: B rows. `click_B` holds 0 and 1, `score_B` and `probability_B` one number a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import DataError

SMALLEST_PROBABILITY = 2.0**-24
"""Probabilities are kept this far from 0 and 1 in a logarithm: float32 rounds them to either."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """See the function of each name."""

    rows: int
    click_rate: float
    auc: float
    logloss: float
    normalized_entropy: float
    calibration: float


def click_metrics(click_B: NDArray[Any], probability_B: NDArray[Any]) -> Metrics:
    """All of them at once.

    Raises
    ------
    DataError
        No rows, lengths that differ, clicks other than 0 and 1 or all the same, or a probability
        that is not in [0, 1].
    """
    click_B, probability_B = _checked(click_B, probability_B)
    outside = ~((probability_B >= 0) & (probability_B <= 1))
    if outside.any():
        row = int(np.argmax(outside))
        raise DataError(
            f"Metrics: wanted probabilities in [0, 1], got {probability_B[row]} (row {row})."
        )
    return Metrics(
        rows=len(click_B),
        click_rate=float(click_B.mean()),
        auc=area_under_curve(click_B, probability_B),
        logloss=log_loss(click_B, probability_B),
        normalized_entropy=normalized_entropy(click_B, probability_B),
        calibration=calibration(click_B, probability_B),
    )


def area_under_curve(click_B: NDArray[Any], score_B: NDArray[Any]) -> float:
    """Area under the ROC curve: the share of (click, non-click) pairs that the scores put in order.

    A tie counts one half (Mann and Whitney 1947; Hanley and McNeil 1982). Pairs are counted in
    integers, so the result is exact for up to 2³¹ rows.

    >>> area_under_curve(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.75
    """
    click_B, score_B = _checked(click_B, score_B)
    order = np.argsort(score_B, kind="stable")
    click_B, score_B = click_B[order].astype(np.int64), score_B[order]
    starts = np.flatnonzero(np.r_[True, score_B[1:] != score_B[:-1]])
    clicks = np.add.reduceat(click_B, starts)
    others = np.diff(np.r_[starts, len(score_B)]) - clicks
    others_below = np.cumsum(others) - others
    half_pairs = int((clicks * (2 * others_below + others)).sum())
    return half_pairs / (2 * int(clicks.sum()) * int(others.sum()))


def log_loss(click_B: NDArray[Any], probability_B: NDArray[Any]) -> float:
    """Mean negative log likelihood of the clicks, in nats."""
    click_B, probability_B = _checked(click_B, probability_B)
    bounded_B = np.clip(probability_B, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return float(-np.where(click_B == 1, np.log(bounded_B), np.log1p(-bounded_B)).mean())


def normalized_entropy(click_B: NDArray[Any], probability_B: NDArray[Any]) -> float:
    """Log loss over that of always predicting the observed click rate: below 1 is better.

    He et al. 2014, "Practical Lessons from Predicting Clicks on Ads at Facebook", equation 1.
    """
    click_B, probability_B = _checked(click_B, probability_B)
    rate = float(click_B.mean())
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log1p(-rate))
    return float(log_loss(click_B, probability_B) / entropy)


def calibration(click_B: NDArray[Any], probability_B: NDArray[Any]) -> float:
    """Mean predicted over observed click rate: 1 is right (He et al. 2014, section 3)."""
    click_B, probability_B = _checked(click_B, probability_B)
    return float(probability_B.mean() / click_B.mean())


def check_clicks(click_B: NDArray[Any]) -> None:
    """Raises DataError where there are no metrics: values but 0 and 1, or only one of them."""
    if not np.isin(click_B, (0, 1)).all():
        raise DataError("Metrics: wanted clicks of 0 and 1, got other values.")
    clicks = int(np.sum(click_B))
    if clicks in (0, len(click_B)):
        raise DataError(
            f"Metrics: wanted rows with and without a click, got {clicks} clicks in "
            f"{len(click_B)} rows. Give the split more rows."
        )


def _checked(
    click_B: NDArray[Any], score_B: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    clicks, scores = np.asarray(click_B, np.float64), np.asarray(score_B, np.float64)
    if clicks.ndim != 1 or clicks.shape != scores.shape:
        raise DataError(
            f"Metrics: wanted one score for each click, got shapes {clicks.shape} of clicks and "
            f"{scores.shape} of scores."
        )
    check_clicks(clicks)
    if np.isnan(scores).any():
        raise DataError(f"Metrics: {int(np.isnan(scores).sum())} of {len(scores)} scores are NaN.")
    return clicks, scores
