"""Find columns that may leak the click, by AUC of each column alone and of the others without it.

A column scores a row by the smoothed click rate of the rows with the same value, estimated on the
first half of a sample of training rows; numbers are first put into buckets of equal counts. Columns
are combined by a logistic regression on the scores' log-odds, fitted on the other half. Both are
judged by AUC on a sample of validation rows, where values that do not recur cannot help.

Legend: B rows, V values, C columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.kinds import CLICK
from plumbline.columns.values import Lists
from plumbline.dlrm.baseline.logistic_regression import probabilities
from plumbline.dlrm.judgement.columns import SplitSurvey
from plumbline.dlrm.metrics.metrics import area_under_curve

BUCKETS = 256
"""Buckets of a column of numbers."""

SMOOTHING = 5.0
"""Pseudo-rows at the mean click rate that are added to every value."""

FEWEST_OUTCOMES = 50
"""Each sample needs at least this many rows with a click and without one."""


TOGETHER = 20
"""Number of best encoded columns that are combined."""

CANDIDATES = 5
"""Number of best raw columns that are left out in turn, each with its encoded columns."""

LEAK_AUC = 0.95
"""A column that reaches this AUC alone is suspected."""

LEAK_RATIO = 2.0
"""A column is suspected if leaving it out multiplies the misordered pairs by this factor."""

LEAK_DROP = 0.03
"""Leaving out such a column loses at least this much AUC."""

LEAK_JOINT_AUC = 0.85
"""No column is suspected for the AUC without it if the combined AUC is below this."""

RIDGE = 1.0
STEPS = 8
"""Steps of Newton's method."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A raw column that may leak the click: AUC of its best encoded column alone, and of the
    combined columns with and without it."""

    column: str
    alone: float
    together: float
    without: float


@dataclass(frozen=True, slots=True)
class Leaks:
    """AUC of every encoded column, and the suspects; both empty for samples with too few clicks."""

    auc: dict[str, float]
    suspects: tuple[Suspect, ...]


def find_leaks(
    train: SplitSurvey, valid: SplitSurvey, sources: Mapping[str, Sequence[str]]
) -> Leaks:
    """Judge every column by the surveys' samples.

    `sources` maps each encoded column to its raw columns.
    """
    if CLICK not in train.sample or CLICK not in valid.sample:
        return Leaks({}, ())
    click_B, judged_B = np.asarray(train.sample[CLICK]), np.asarray(valid.sample[CLICK])
    half = len(click_B) // 2
    first_B, second_B = click_B[:half], click_B[half:]
    if min(map(_rarer, (first_B, second_B, judged_B))) < FEWEST_OUTCOMES:
        return Leaks({}, ())
    odds: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    auc: dict[str, float] = {}
    for name, values in train.sample.items():
        if name == CLICK:
            continue
        first, second = _rows(values, slice(0, half)), _rows(values, slice(half, None))
        rate_B = _scores(first, first_B, valid.sample[name])
        auc[name] = area_under_curve(judged_B, rate_B)
        odds[name] = _log_odds(_scores(first, first_B, second)), _log_odds(rate_B)
    ranked = sorted(auc, key=lambda name: -auc[name])
    best = ranked[:TOGETHER]
    together = _joint_auc([odds[name] for name in best], second_B, judged_B)
    candidates = dict.fromkeys(source for name in best for source in sources[name])
    suspects = []
    for candidate in list(candidates)[:CANDIDATES]:
        alone = max(auc[name] for name in best if candidate in sources[name])
        rest = [name for name in ranked if candidate not in sources[name]][:TOGETHER]
        without = _joint_auc([odds[name] for name in rest], second_B, judged_B)
        if alone >= LEAK_AUC or _rests_on_it(together, without):
            suspects.append(Suspect(candidate, alone, together, without))
    return Leaks(auc, tuple(suspects))


def _rests_on_it(together: float, without: float) -> bool:
    dropped = together - without >= LEAK_DROP
    return dropped and together >= LEAK_JOINT_AUC and 1 - without >= LEAK_RATIO * (1 - together)


def _joint_auc(
    columns: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
    click_B: NDArray[Any],
    judged_B: NDArray[Any],
) -> float:
    """AUC on the judged rows of a regression fitted on the other rows; .5 without columns."""
    if not columns:
        return 0.5
    fitted_BC = np.column_stack([fitted for fitted, _ in columns] + [np.ones(len(click_B))])
    judged_BC = np.column_stack([judged for _, judged in columns] + [np.ones(len(judged_B))])
    weight_C = np.zeros(fitted_BC.shape[1])
    for _ in range(STEPS):
        probability_B = probabilities(fitted_BC @ weight_C)
        curvature_B = np.maximum(probability_B * (1 - probability_B), 1e-6)
        hessian_CC = (fitted_BC.T * curvature_B) @ fitted_BC + RIDGE * np.eye(len(weight_C))
        gradient_C = fitted_BC.T @ (probability_B - click_B) + RIDGE * weight_C
        weight_C = weight_C - np.linalg.solve(hessian_CC, gradient_C)
    return area_under_curve(judged_B, judged_BC @ weight_C)


def _log_odds(rate_B: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.log(rate_B) - np.log1p(-rate_B))


def _rarer(click_B: NDArray[Any]) -> int:
    clicks = int(np.count_nonzero(click_B))
    return min(clicks, len(click_B) - clicks)


def _rows(values: NDArray[Any] | Lists, rows: slice) -> NDArray[Any] | Lists:
    if isinstance(values, Lists):
        return values.take(np.arange(len(values))[rows])
    return values[rows]


def _scores(
    values: NDArray[Any] | Lists, click_B: NDArray[Any], judged: NDArray[Any] | Lists
) -> NDArray[np.float64]:
    """Scores of the `judged` rows, from the training rows' `values` and clicks."""
    if isinstance(values, Lists) and isinstance(judged, Lists):
        return _list_scores(values, click_B, judged)
    train_B, judged_B = np.asarray(values), np.asarray(judged)
    if train_B.dtype.kind == "f":
        edges = np.unique(np.quantile(train_B, np.linspace(0, 1, BUCKETS + 1)[1:-1]))
        # A frequent value gets its own bucket: from it up to the next value.
        edges = np.unique(np.r_[edges, np.nextafter(edges, np.inf, dtype=edges.dtype)])
        train_B, judged_B = np.digitize(train_B, edges), np.digitize(judged_B, edges)
    return _rates(train_B, click_B, judged_B)


def _list_scores(values: Lists, click_B: NDArray[Any], judged: Lists) -> NDArray[np.float64]:
    """Mean score of a list's values; an empty list scores the mean click rate."""
    lengths_B = np.diff(values.offsets)
    mean = float(click_B.mean())
    clicks_N = np.repeat(click_B, lengths_B)
    if not len(clicks_N):
        return np.full(len(judged), mean)
    rate_N = _rates(np.asarray(values.values), clicks_N, np.asarray(judged.values))
    judged_lengths_B = np.diff(judged.offsets)
    row_N = np.repeat(np.arange(len(judged)), judged_lengths_B)
    total_B = np.bincount(row_N, rate_N, len(judged))
    return np.where(judged_lengths_B > 0, total_B / np.maximum(judged_lengths_B, 1), mean)


def _rates(
    train_B: NDArray[Any], click_B: NDArray[Any], judged_B: NDArray[Any]
) -> NDArray[np.float64]:
    value_V, inverse_B = np.unique(train_B, return_inverse=True)
    mean = float(click_B.mean())
    clicks_V = np.bincount(inverse_B, click_B, len(value_V)) + SMOOTHING * mean
    rate_V = clicks_V / (np.bincount(inverse_B, minlength=len(value_V)) + SMOOTHING)
    index_B = np.minimum(np.searchsorted(value_V, judged_B), len(value_V) - 1)
    return np.where(value_V[index_B] == judged_B, rate_V[index_B], mean)
