"""A sample of the rows that a model scores, kept for a closer look.

Legend: B rows, F columns with one id a row, C continuous columns, N ids of a list column.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.values import Lists, concat
from plumbline.dlrm.model.architecture import Architecture

if TYPE_CHECKING:
    from plumbline.dlrm.score.evaluation import RowScorer

MOST_ROWS, MOST_CELLS = 2**17, 20_000_000
"""Largest sample: rows, and values of all columns together."""


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """Encoded rows in plan order, with their clicks and scores."""

    ids_BF: NDArray[np.int64]
    dense_BC: NDArray[np.float32]
    bags: tuple[Lists, ...]
    click_B: NDArray[np.float32]
    probability_B: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.click_B)

    def take(self, rows: NDArray[Any]) -> ScoredRows:
        """Select rows by their numbers."""
        return ScoredRows(
            self.ids_BF[rows],
            self.dense_BC[rows],
            tuple(bag.take(rows) for bag in self.bags),
            self.click_B[rows],
            self.probability_B[rows],
        )

    def column(self, architecture: Architecture, name: str) -> NDArray[Any] | Lists:
        """A column's ids, numbers, or lists of ids, one a row."""
        if name in architecture.bags:
            return self.bags[architecture.bags.index(name)]
        if name in architecture.continuous:
            return self.dense_BC[:, architecture.continuous.index(name)]
        return self.ids_BF[:, architecture.single.index(name)]

    def permuted(self, architecture: Architecture, name: str, order: NDArray[Any]) -> ScoredRows:
        """The same rows, but with the column's values in another order."""
        if name in architecture.bags:
            position = architecture.bags.index(name)
            bags = list(self.bags)
            bags[position] = bags[position].take(order)
            return replace(self, bags=tuple(bags))
        if name in architecture.continuous:
            return replace(
                self, dense_BC=_permuted(self.dense_BC, architecture.continuous.index(name), order)
            )
        return replace(self, ids_BF=_permuted(self.ids_BF, architecture.single.index(name), order))


class RowSample:
    """A `RowScorer` that keeps the inputs of evenly spread calls beside the scores.

    Parameters
    ----------
    rows
        Number of rows that will be scored.
    """

    def __init__(self, scorer: RowScorer, architecture: Architecture, rows: int) -> None:
        columns = len(architecture.categorical) + len(architecture.continuous)
        most = min(MOST_ROWS, MOST_CELLS // max(columns, 1))
        self._scorer = scorer
        self._every = max(1, math.ceil(rows / most))
        self._calls = 0
        self._last: tuple[Any, ...] = ()
        self._kept: list[ScoredRows] = []

    def score(
        self, ids_BF: NDArray[np.int64], dense_BC: NDArray[np.float32], bags: Sequence[Lists]
    ) -> NDArray[np.float32]:
        """probability_B."""
        probability_B = self._scorer.score(ids_BF, dense_BC, bags)
        self._last = ids_BF, dense_BC, tuple(bags), probability_B
        return probability_B

    def add_clicks(self, click_B: NDArray[np.float32]) -> None:
        """The clicks of the rows that were scored last."""
        ids_BF, dense_BC, bags, probability_B = self._last
        if self._calls % self._every == 0:
            self._kept.append(ScoredRows(ids_BF, dense_BC, bags, click_B, probability_B))
        self._calls += 1

    def rows(self) -> ScoredRows:
        """The rows that were kept, at least one call's."""
        first = self._kept[0]
        return ScoredRows(
            np.concatenate([kept.ids_BF for kept in self._kept]),
            np.concatenate([kept.dense_BC for kept in self._kept]),
            tuple(concat([kept.bags[i] for kept in self._kept]) for i in range(len(first.bags))),
            np.concatenate([kept.click_B for kept in self._kept]),
            np.concatenate([kept.probability_B for kept in self._kept]),
        )


def _permuted(values: NDArray[Any], column: int, order: NDArray[Any]) -> NDArray[Any]:
    values = values.copy()
    values[:, column] = values[order, column]
    return values
