"""Definitions of the quality metrics of click probabilities, in float64, for rows in memory.

`plumbline.dlrm.metrics.click_metrics` computes the same metrics for any number of rows.

Legend: B rows. `click_B` holds 0 and 1, `score_B` and `probability_B` one number a row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.base.errors import DataError

SMALLEST_PROBABILITY = 2.0**-24
"""Probabilities are clipped this far from 0 and 1 before a logarithm: float32 may round to both."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """The metrics of a set of rows; each field is defined by the function of its name."""

    rows: int
    click_rate: float
    auc: float
    logloss: float
    normalized_entropy: float
    calibration: float


def area_under_curve(click_B: NDArray[Any], score_B: NDArray[Any]) -> float:
    """Area under the ROC curve: the share of (click, non-click) pairs that the scores order right.

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
    return float(row_losses(*_checked(click_B, probability_B)).mean())


def normalized_entropy(click_B: NDArray[Any], probability_B: NDArray[Any]) -> float:
    """Log loss over that of always predicting the observed click rate: below 1 is better.

    He et al. 2014, "Practical Lessons from Predicting Clicks on Ads at Facebook", equation 1.
    """
    click_B, probability_B = _checked(click_B, probability_B)
    return log_loss(click_B, probability_B) / entropy(float(click_B.mean()))


def calibration(click_B: NDArray[Any], probability_B: NDArray[Any]) -> float:
    """Mean predicted over observed click rate: 1 is right (He et al. 2014, section 3)."""
    click_B, probability_B = _checked(click_B, probability_B)
    return float(probability_B.mean() / click_B.mean())


def row_losses(
    click_B: NDArray[np.float64], probability_B: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Negative log likelihood of each row's click, in nats."""
    bounded_B = np.clip(probability_B, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    losses_B: NDArray[np.float64] = -np.where(click_B == 1, np.log(bounded_B), np.log1p(-bounded_B))
    return losses_B


def entropy(rate: float) -> float:
    """Log loss of always predicting the click rate, in nats."""
    return -(rate * math.log(rate) + (1 - rate) * math.log1p(-rate))


def paired(
    click_B: NDArray[Any], score_B: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both in float64; raises DataError for unequal lengths, clicks other than 0 and 1, and NaN."""
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


def check_clicks(click_B: NDArray[Any]) -> None:
    """Raises DataError for values other than 0 and 1."""
    if not np.isin(click_B, (0, 1)).all():
        raise DataError("Metrics: wanted clicks of 0 and 1, got other values.")


def check_outcomes(clicks: int, rows: int) -> None:
    """Raises DataError if all or no rows have a click, since metrics are then undefined."""
    if clicks in (0, rows):
        raise DataError(
            f"Metrics: wanted rows with and without a click, got {clicks} clicks in "
            f"{rows} rows. Give the split more rows."
        )


def _checked(
    click_B: NDArray[Any], score_B: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    clicks, scores = paired(click_B, score_B)
    check_outcomes(int(clicks.sum()), len(clicks))
    return clicks, scores
