"""Importance of a column: how much worse the scores get when its values are shuffled among rows.

Breiman 2001, "Random Forests", section 10. A column that another one can stand in for seems less
important than it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plumbline.dlrm.judgement.scored_rows import ScoredRows
from plumbline.dlrm.metrics.metrics import area_under_curve, row_losses
from plumbline.dlrm.model.architecture import Architecture

if TYPE_CHECKING:
    from plumbline.dlrm.score.evaluation import RowScorer

MOST_COLUMNS = 60
"""Of more columns, those that order the clicks best alone are tried."""

FEWEST_ROWS, MOST_ROWS = 2_000, 20_000
"""Sizes of the sample; between them, all columns together score as many rows as the stage did."""


@dataclass(frozen=True, slots=True)
class Importance:
    """Loss of quality when a column is shuffled: AUC lost, and log loss gained in nats."""

    column: str
    auc: float
    logloss: float


def columns_to_try(architecture: Architecture, auc: Mapping[str, float | None]) -> list[str]:
    """At most `MOST_COLUMNS` columns; `auc` is that of each column alone, if it is known."""
    columns = [*architecture.categorical, *architecture.continuous]
    ranked = sorted(columns, key=lambda name: -abs((auc.get(name) or 0.5) - 0.5))
    return ranked[:MOST_COLUMNS]


def rows_to_shuffle(scored: int, columns: int) -> int:
    """The size of the sample, after `scored` rows were scored.

    >>> rows_to_shuffle(400_000, 39), rows_to_shuffle(400_000_000, 39), rows_to_shuffle(10, 39)
    (10256, 20000, 2000)
    """
    return min(max(scored // max(columns, 1), FEWEST_ROWS), MOST_ROWS)


def permutation_importance(
    scorer: RowScorer,
    rows: ScoredRows,
    architecture: Architecture,
    columns: list[str],
    *,
    most_rows: int,
    seed: int,
    progress: Callable[[int], None],
) -> list[Importance]:
    """The columns with the most important first, by AUC; the same for the same seed.

    Raises DataError if all or no rows have a click.
    """
    generator = np.random.default_rng(seed)
    rows, weight_B = _sample(rows, most_rows, generator)
    auc, logloss = _quality(rows.click_B, rows.probability_B, weight_B)
    found = []
    for column in columns:
        shuffled = rows.permuted(architecture, column, generator.permutation(len(rows)))
        probability_B = scorer.score(shuffled.ids_BF, shuffled.dense_BC, shuffled.bags)
        worse_auc, worse_loss = _quality(rows.click_B, probability_B, weight_B)
        found.append(Importance(column, auc - worse_auc, worse_loss - logloss))
        progress(len(rows))
    return sorted(found, key=lambda one: -one.auc)


def _sample(
    rows: ScoredRows, most: int, generator: np.random.Generator
) -> tuple[ScoredRows, NDArray[np.float64]]:
    """At most `most` rows, and how many rows each stands for.

    A quarter of them have the rarer outcome, if there are so many: a sample of rows that are
    clicked once in a thousand times would have next to no pairs to order.
    """
    if len(rows) <= most:
        return rows, np.ones(len(rows))
    is_click_B = rows.click_B == 1
    is_rarer_B = is_click_B if 2 * np.count_nonzero(is_click_B) <= len(rows) else ~is_click_B
    rarer, others = np.flatnonzero(is_rarer_B), np.flatnonzero(~is_rarer_B)
    wanted = min(len(rarer), max(round(most * len(rarer) / len(rows)), most // 4))
    taken = np.concatenate(
        [
            generator.choice(rarer, wanted, replace=False),
            generator.choice(others, most - wanted, replace=False),
        ]
    )
    weight_B = np.where(
        is_rarer_B[taken], len(rarer) / max(wanted, 1), len(others) / (most - wanted)
    )
    return rows.take(taken), weight_B


def _quality(
    click_B: NDArray[np.float32], probability_B: NDArray[np.float32], weight_B: NDArray[np.float64]
) -> tuple[float, float]:
    """AUC, and the log loss of all rows that the sample stands for."""
    losses_B = row_losses(click_B.astype(np.float64), probability_B.astype(np.float64))
    return area_under_curve(click_B, probability_B), float(np.average(losses_B, weights=weight_B))
