"""A logistic regression on encoded rows: the baseline that a DLRM has to beat.

It has one weight per id, one per continuous column, and a bias. A list contributes the sum of its
ids' weights where the model's bag is the sum, else their mean. `plumbline.dlrm.baseline.fitting`
fits the weights.

Legend: B rows, F columns with one id a row, C continuous columns, N ids of the list columns, R ids
of all columns together, W = R + C + 1 weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.values import Lists
from plumbline.dlrm.model.architecture import Architecture

FARTHEST = 10.0
"""Numbers are clipped to this many standard deviations from the mean."""

LARGEST_LOGIT = 30.0

Numbers: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LogisticRegression:
    """Scores encoded rows, as `plumbline.dlrm.score.scorer.Scorer` does."""

    layout: Layout
    spread: Spread
    weight_W: Numbers
    """Weights of the ids of all columns, of the continuous columns after `spread`, and the bias."""

    def score(
        self, ids_BF: NDArray[np.int64], dense_BC: Numbers, bags: Sequence[Lists] = ()
    ) -> Numbers:
        """probability_B, float32, in [0, 1] for any input numbers."""
        rows = self.layout.rows(ids_BF, self.spread(dense_BC), bags)
        return probabilities(rows.logits(self.weight_W)).astype(np.float32)


class Layout:
    """Offsets of each column's ids among the weights; columns with one id a row come first."""

    def __init__(self, architecture: Architecture) -> None:
        sizes = dict(zip(architecture.categorical, architecture.cardinalities, strict=True))
        names = (*architecture.single, *architecture.bags)
        starts = np.cumsum([0, *(sizes[name] for name in names)])
        self._start_F = starts[: len(architecture.single)]
        self._start_L = starts[len(architecture.single) : -1]
        self._is_mean = architecture.bag != "sum"
        self.ids = int(starts[-1])
        self.columns = len(names) + len(architecture.continuous)
        self.weights = self.ids + len(architecture.continuous) + 1

    def rows(
        self, ids_BF: NDArray[np.int64], dense_BC: Numbers, bags: Sequence[Lists]
    ) -> RowsOfWeights:
        index_N, row_N, share_N = [], [], []
        for start, bag in zip(self._start_L, bags, strict=True):
            lengths_B = np.diff(bag.offsets)
            index_N.append(np.asarray(bag.values, np.int64) + start)
            row_N.append(np.repeat(np.arange(len(lengths_B)), lengths_B))
            of_row_B = 1.0 / np.maximum(lengths_B, 1) if self._is_mean else np.ones(len(lengths_B))
            share_N.append(np.repeat(of_row_B.astype(np.float32), lengths_B))
        return RowsOfWeights(
            ids_BF + self._start_F,
            np.concatenate([np.empty(0, np.int64), *index_N]),
            np.concatenate([np.empty(0, np.int64), *row_N]),
            np.concatenate([np.empty(0, np.float32), *share_N]),
            dense_BC,
        )


@dataclass(frozen=True, slots=True)
class RowsOfWeights:
    """Rows as indices into weight_W. A list's id has the factor `share_N` in its row `row_N`."""

    index_BF: NDArray[np.int64]
    index_N: NDArray[np.int64]
    row_N: NDArray[np.int64]
    share_N: Numbers
    dense_BC: Numbers

    def logits(self, weight_W: Numbers) -> NDArray[np.float64]:
        """logit_B."""
        width = self.dense_BC.shape[1]
        logit_B: NDArray[np.float64] = weight_W[self.index_BF].sum(1, dtype=np.float64)
        logit_B += weight_W[-1]
        if width:
            logit_B += self.dense_BC @ weight_W[-1 - width : -1]
        if len(self.index_N):
            shares = weight_W[self.index_N] * self.share_N
            logit_B += np.bincount(self.row_N, shares, len(logit_B))
        return logit_B

    def indices(self) -> NDArray[np.int64]:
        """Weight index of every id, in the order of `parts`."""
        return np.concatenate([self.index_BF.ravel(), self.index_N])

    def parts(self, residual_B: NDArray[np.float64]) -> NDArray[np.float64]:
        """Contribution of each id to the gradient of its weight."""
        singles = np.repeat(residual_B, self.index_BF.shape[1])
        return np.concatenate([singles, residual_B[self.row_N] * self.share_N])


@dataclass(frozen=True, slots=True)
class Spread:
    """Standardizes numbers and clips them, so none overflows."""

    mean_C: Numbers
    deviation_C: Numbers

    @classmethod
    def of(cls, dense_BC: Numbers) -> Spread:
        numbers_BC = np.nan_to_num(dense_BC).astype(np.float64)
        deviation_C = numbers_BC.std(0) if len(numbers_BC) else np.ones(dense_BC.shape[1])
        mean_C = numbers_BC.mean(0) if len(numbers_BC) else np.zeros(dense_BC.shape[1])
        smallest = np.finfo(np.float32).tiny
        deviation_C = np.where(deviation_C > smallest, deviation_C, 1.0)
        return cls(mean_C.astype(np.float32), deviation_C.astype(np.float32))

    def __call__(self, dense_BC: Numbers) -> Numbers:
        with np.errstate(over="ignore", invalid="ignore"):
            spread_BC = (dense_BC - self.mean_C) / self.deviation_C
        np.nan_to_num(spread_BC, copy=False, posinf=FARTHEST, neginf=-FARTHEST)
        return np.clip(spread_BC, -FARTHEST, FARTHEST, out=spread_BC)


def probabilities(logit_B: NDArray[np.float64]) -> NDArray[np.float64]:
    """probability_B of logits of any size; does not overflow."""
    bounded_B = np.clip(logit_B, -LARGEST_LOGIT, LARGEST_LOGIT)
    return np.asarray(1.0 / (1.0 + np.exp(-bounded_B)))
