"""ROC, precision-recall and calibration curves and a histogram of the scores, in few points.

They are computed from the clicks at each distinct score, for any number of rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline.dlrm.metrics.metrics import SMALLEST_PROBABILITY, check_outcomes
from plumbline.dlrm.metrics.pair_counts import PairCounts

POINTS = 200
"""Thresholds of the ROC and precision-recall curves, with equal numbers of rows between them."""

GROUPS = 20
"""Groups of the calibration curve, of equal numbers of rows."""

LOWEST, HIGHEST, WIDTH = -16.0, 16.0, 0.25
"""Bins of the histogram, in log-odds of the score; all else is in the outermost ones."""


@dataclass(frozen=True, slots=True)
class CalibrationGroup:
    """Rows with neighbouring scores. Rows of equal score are in one group."""

    rows: int
    clicks: int
    predicted: float
    """Mean score."""
    observed: float
    """Share of clicks."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Rows by score. Bin i has the scores from `edges[i]` up to `edges[i + 1]`, in equal steps of
    the score's log-odds."""

    edges: tuple[float, ...]
    clicks: tuple[int, ...]
    others: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Curves:
    """Curves of one split's scores."""

    roc: tuple[tuple[float, float], ...]
    """(false positive rate, true positive rate), from (0, 0) to (1, 1)."""
    precision_recall: tuple[tuple[float, float], ...]
    """(recall, precision), by rising recall."""
    calibration: tuple[CalibrationGroup, ...]
    histogram: Histogram


def curves_of(pairs: PairCounts) -> Curves:
    """Raises DataError if all or no rows have a click."""
    rows = sum(int(c["clicks"].sum() + c["others"].sum()) for c in pairs.blocks())
    by_point, by_group = np.zeros((2, POINTS), np.int64), np.zeros((2, GROUPS), np.int64)
    score_G = np.zeros(GROUPS)
    bins = np.zeros((2, round((HIGHEST - LOWEST) / WIDTH)), np.int64)
    seen = 0
    for counts in pairs.blocks():
        outcomes = np.stack([counts["clicks"], counts["others"]])
        total = outcomes.sum(axis=0)
        before = seen + np.cumsum(total) - total
        seen += int(total.sum())
        group = before * GROUPS // rows
        _add(by_point, before * POINTS // rows, outcomes)
        _add(by_group, group, outcomes)
        score_G += np.bincount(group, counts["score"] * total, GROUPS)
        _add(bins, _bin(counts["score"]), outcomes)
    check_outcomes(int(by_point[0].sum()), rows)
    return Curves(
        roc=_roc(by_point),
        precision_recall=_precision_recall(by_point),
        calibration=_calibration(by_group, score_G),
        histogram=_histogram(bins),
    )


def _add(sums: NDArray[np.int64], index: NDArray[np.int64], outcomes: NDArray[np.int64]) -> None:
    """Add each column of the clicks and others to the sums at its index."""
    for sums_I, counts in zip(sums, outcomes, strict=True):
        np.add.at(sums_I, index, counts)


def _bin(score: NDArray[np.float64]) -> NDArray[np.int64]:
    bounded = np.clip(score, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    log_odds = np.log(bounded) - np.log1p(-bounded)
    index = np.floor((log_odds - LOWEST) / WIDTH).astype(np.int64)
    bins: NDArray[np.int64] = np.clip(index, 0, round((HIGHEST - LOWEST) / WIDTH) - 1)
    return bins


def _above(by_point: NDArray[np.int64]) -> NDArray[np.int64]:
    """Clicks and others at and above each threshold that has rows, the highest first."""
    used = by_point[:, by_point.sum(axis=0) > 0]
    above: NDArray[np.int64] = np.cumsum(used[:, ::-1], axis=1)
    return above


def _roc(by_point: NDArray[np.int64]) -> tuple[tuple[float, float], ...]:
    clicks, others = _above(by_point)
    rates = zip((others / others[-1]).tolist(), (clicks / clicks[-1]).tolist(), strict=True)
    return ((0.0, 0.0), *rates)


def _precision_recall(by_point: NDArray[np.int64]) -> tuple[tuple[float, float], ...]:
    clicks, others = _above(by_point)
    recall, precision = clicks / clicks[-1], clicks / (clicks + others)
    return tuple(zip(recall.tolist(), precision.tolist(), strict=True))


def _calibration(
    by_group: NDArray[np.int64], score_G: NDArray[np.float64]
) -> tuple[CalibrationGroup, ...]:
    return tuple(
        CalibrationGroup(
            clicks + others, clicks, score / (clicks + others), clicks / (clicks + others)
        )
        for clicks, others, score in zip(*by_group.tolist(), score_G.tolist(), strict=True)
        if clicks + others
    )


def _histogram(bins: NDArray[np.int64]) -> Histogram:
    used = np.flatnonzero(bins.sum(axis=0))
    first, last = int(used[0]), int(used[-1]) + 1
    log_odds = LOWEST + WIDTH * np.arange(first, last + 1)
    clicks, others = bins[:, first:last].tolist()
    edges = 1 / (1 + np.exp(-log_odds))
    return Histogram(tuple(edges.tolist()), tuple(clicks), tuple(others))
