"""Fit the logistic regression on mini-batches streamed from the encoded training rows.

FTRL-Proximal (McMahan et al. 2013, "Ad Click Prediction: a View from the Trenches", algorithm 1):
each weight has its own step size, and L2 applies to the sum of all losses. Continuous columns are
decorrelated first, because per-coordinate steps converge slowly along correlated directions. A pass
returns the mean of the weights over its second half, which removes the noise of the last batches
(Polyak and Juditsky 1992). Small tables are passed over until the validation log loss stops
falling, large ones once, so fitting takes a small share of the training time.

Rates and bounds were chosen on validation splits (docs/log.md). Legend: see
`plumbline.dlrm.baseline.logistic_regression`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plumbline.base.errors import DataError
from plumbline.columns.values import Lists
from plumbline.dlrm.baseline.logistic_regression import (
    Layout,
    LogisticRegression,
    Numbers,
    RowsOfWeights,
    Spread,
    probabilities,
)
from plumbline.dlrm.data.loader import Batch, Order
from plumbline.dlrm.data.parquet_loader import ParquetLoader
from plumbline.dlrm.metrics.metrics import row_losses
from plumbline.dlrm.model.architecture import Architecture

RATE = 0.5
"""Learning rate of a weight's first step; divided by √(number of columns), whose steps add up."""

DAMPING = 1.0
"""Added to the root of a weight's squared gradients: the article's β."""

L2 = 1.0
"""Half of the squared weights is added to the sum of the losses of all rows."""

STEPS = 128
"""Steps of a pass over a small table."""

FEWEST_ROWS, MOST_ROWS = 64, 8192
"""Rows of a step."""

WHOLE_TABLE = 4
"""A step updates all ids densely if there are at most this many of them per id in its rows."""

MOST_PASSES = 20
PATIENCE = 3
"""Fitting stops after this many passes in a row without a smaller validation log loss."""

ROWS_OF_PASSES = 1_000_000
"""Rows of all passes together; a table with more gets one pass."""

ROWS_TO_SPREAD = 131_072
"""Number of first training rows from which means and correlations are estimated."""

MOST_DECORRELATED = 512
"""Largest number of continuous columns that are decorrelated; more are only centred."""

LEAST_VARIANCE = 1e-3
"""Lower bound of a direction's variance; anything smaller is noise."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """The fitted regression, the pass that it is from, and the rows of all passes."""

    regression: LogisticRegression
    passes: int
    rows: int


def fit_logistic_regression(
    architecture: Architecture,
    train_files: Sequence[Path],
    valid_files: Sequence[Path],
    *,
    seed: int,
    click_rate: float,
    logit_offset: float = 0.0,
    progress: Callable[[int], None] | None = None,
) -> Fitted:
    """Fit on the encoded training files; equal seeds and files give equal weights.

    Parameters
    ----------
    architecture
        Only its columns, cardinalities and bag are used.
    click_rate
        In (0, 1); the bias starts at its log-odds.
    logit_offset
        Added to the logits in training only, as in `plumbline.dlrm.train.training.train`.
    progress
        Called after every step with its number of rows.

    Raises
    ------
    DataError
        No training rows, or files that cannot be read.
    """
    metadata = ParquetLoader(train_files, architecture, FEWEST_ROWS)
    if not metadata.rows:
        raise DataError("Logistic regression: the training split has no rows.")
    step_rows = min(max(metadata.rows // STEPS, FEWEST_ROWS), MOST_ROWS)
    loader = ParquetLoader(train_files, architecture, step_rows)
    passes = min(max(ROWS_OF_PASSES // loader.rows, 1), MOST_PASSES)
    learner: _Learner | None = None
    best: LogisticRegression | None = None
    best_loss, best_pass, done = math.inf, 0, 0
    while done < passes and done - best_pass < PATIENCE:
        with closing(loader.batches(Order(seed, done))) as batches:
            ahead: list[Batch] = []
            if learner is None:
                ahead = _first(batches, ROWS_TO_SPREAD)
                learner = _Learner(architecture, ahead, click_rate, logit_offset)
            now = learner.one_pass(_chained(ahead, batches), -(-loader.rows // step_rows), progress)
        done += 1
        loss = _log_loss(now, valid_files, architecture) if passes > 1 else 0.0
        if best is None or loss < best_loss:
            best, best_loss, best_pass = now, loss, done
    if best is None:
        raise ValueError("Logistic regression: wanted at least one pass, got none.")
    return Fitted(best, best_pass, done * loader.rows)


def _first(batches: Iterator[Batch], rows: int) -> list[Batch]:
    first: list[Batch] = []
    for batch in batches:
        first.append(batch)
        if sum(map(len, first)) >= rows:
            break
    return first


def _chained(ahead: list[Batch], batches: Iterator[Batch]) -> Iterator[Batch]:
    while ahead:
        yield ahead.pop(0)
    yield from batches


def _log_loss(
    regression: LogisticRegression, files: Sequence[Path], architecture: Architecture
) -> float:
    total = rows = 0.0
    loader = ParquetLoader(files, architecture, MOST_ROWS)
    with closing(loader.batches()) as batches:
        for batch in batches:
            click_B = batch.click_B.numpy().astype(np.float64)
            probability_B = regression.score(*_arrays(batch)).astype(np.float64)
            total += float(row_losses(click_B, probability_B).sum())
            rows += len(click_B)
    return total / max(rows, 1)


def _arrays(batch: Batch) -> tuple[NDArray[np.int64], Numbers, list[Lists]]:
    bags = [Lists(ids_N.numpy(), offsets_B1.numpy()) for ids_N, offsets_B1 in batch.bags]
    return batch.ids_BF.numpy(), batch.dense_BC.numpy(), bags


class _Learner:
    """The weights and FTRL-Proximal's state of each: z_W and the sum of squared gradients."""

    def __init__(
        self,
        architecture: Architecture,
        sample: list[Batch],
        click_rate: float,
        logit_offset: float = 0.0,
    ) -> None:
        self._layout = Layout(architecture)
        dense_BC = np.concatenate([batch.dense_BC.numpy() for batch in sample])
        self._spread = Spread.of(dense_BC)
        self._mixed_CC = _decorrelating(self._spread(dense_BC))
        self._rate = RATE / math.sqrt(self._layout.columns)
        self._passes = 0
        self._weight_W, self._z_W, self._squares_W = (
            np.zeros(self._layout.weights, np.float32) for _ in range(3)
        )
        self._place_R = np.empty(self._layout.ids, np.int32)
        self._bias = math.log(click_rate) - math.log1p(-click_rate)
        self._offset = logit_offset

    def one_pass(
        self, batches: Iterator[Batch], steps: int, progress: Callable[[int], None] | None
    ) -> LogisticRegression:
        """Step on all batches, `steps` of them, and return the regression after the pass."""
        self._passes += 1
        total_W = np.zeros(self._layout.weights)
        taken = 0
        for number, batch in enumerate(batches):
            ids_BF, dense_BC, bags = _arrays(batch)
            mixed_BC = self._spread(dense_BC) @ self._mixed_CC
            rows = self._layout.rows(ids_BF, mixed_BC, bags)
            is_dense = self._step(rows, batch.click_B.numpy())
            if is_dense and 2 * number >= steps:
                total_W += self._weight_W
                taken += 1
            if progress is not None:
                progress(len(batch))
        mean_W = (total_W / taken).astype(np.float32) if taken else self._weight_W.copy()
        return self._regression(mean_W)

    def _regression(self, weight_W: Numbers) -> LogisticRegression:
        """The regression on the numbers before decorrelation, with the initial bias added."""
        ids = self._layout.ids
        weight_W[ids:-1] = self._mixed_CC @ weight_W[ids:-1]
        weight_W[-1] += self._bias
        return LogisticRegression(self._layout, self._spread, weight_W)

    def _step(self, rows: RowsOfWeights, click_B: Numbers) -> bool:
        """Make one step; returns whether it updated all weights, not only the batch's."""
        ids = self._layout.ids
        logit_B = rows.logits(self._weight_W) + self._bias + self._offset
        residual_B = probabilities(logit_B) - click_B
        index_N, parts = rows.indices(), rows.parts(residual_B)
        rest = np.append(residual_B.astype(np.float32) @ rows.dense_BC, residual_B.sum())
        self._update(slice(ids, None), rest.astype(np.float32))
        if ids <= WHOLE_TABLE * len(index_N):
            self._update(slice(ids), np.bincount(index_N, parts, ids)[:ids].astype(np.float32))
            return True
        place_N = np.arange(len(index_N), dtype=np.int32)
        self._place_R[index_N] = place_N  # equal ids write to one element, and one place stays
        kept_N = self._place_R[index_N]
        sums = np.bincount(kept_N, parts, len(index_N))
        place_K = np.flatnonzero(kept_N == place_N)
        self._update(index_N[place_K], sums[place_K].astype(np.float32))
        return False

    def _update(self, at: slice | NDArray[np.int64], gradient_K: Numbers) -> None:
        squares_K = self._squares_W[at]
        root_K = np.sqrt(squares_K)
        squares_K = squares_K + gradient_K * gradient_K
        new_root_K = np.sqrt(squares_K)
        moved_K = (new_root_K - root_K) / self._rate * self._weight_W[at]
        z_K = self._z_W[at] + gradient_K - moved_K
        steepness_K = (DAMPING + new_root_K) / self._rate + L2 * self._passes
        self._squares_W[at], self._z_W[at] = squares_K, z_K
        self._weight_W[at] = -z_K / steepness_K


def _decorrelating(spread_BC: Numbers) -> Numbers:
    """The (C, C) matrix that decorrelates the columns with the least change to each (ZCA)."""
    width = spread_BC.shape[1]
    if not 1 < width <= MOST_DECORRELATED:
        return np.eye(width, dtype=np.float32)
    numbers_BC = spread_BC.astype(np.float64)
    variance_C, direction_CC = np.linalg.eigh(numbers_BC.T @ numbers_BC / len(numbers_BC))
    scale_C = 1.0 / np.sqrt(np.maximum(variance_C, LEAST_VARIANCE))
    return np.asarray((direction_CC * scale_C) @ direction_CC.T, np.float32)
