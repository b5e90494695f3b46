"""Metrics of any number of rows, accumulated block by block in bounded memory.

Legend: B rows. `click_B` holds 0 and 1, `probability_B` one number a row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.base.errors import DataError
from plumbline.dlrm.metrics.metrics import Metrics, check_outcomes, entropy, paired, row_losses
from plumbline.dlrm.metrics.pair_counts import MAX_COUNTS, PairCounts

BLOCKS = 4096
"""Block sums that are kept before they are merged."""


class ClickMetrics:
    """Accumulates rows and computes the metrics that `plumbline.dlrm.metrics.metrics` defines.

    The AUC is exact. Sums are rounded once per block, so the last bits depend on the block size.

    Parameters
    ----------
    limit, folder
        See `PairCounts`.
    """

    def __init__(self, limit: int = MAX_COUNTS, folder: Path | None = None) -> None:
        self._pairs = PairCounts(limit, folder)
        self._rows = self._clicks = 0
        self._loss, self._probability = _Sum(), _Sum()

    def add(self, click_B: NDArray[Any], probability_B: NDArray[Any]) -> None:
        """Add rows.

        Raises
        ------
        DataError
            Lengths differ, a click is not 0 or 1, or a probability is outside [0, 1].
        """
        click_B, probability_B = paired(click_B, probability_B)
        outside = ~((probability_B >= 0) & (probability_B <= 1))
        if outside.any():
            row = int(np.argmax(outside))
            raise DataError(
                f"Metrics: wanted probabilities in [0, 1], got {probability_B[row]} "
                f"(row {self._rows + row})."
            )
        self._pairs.add(click_B, probability_B)
        self._loss.add(row_losses(click_B, probability_B))
        self._probability.add(probability_B)
        self._rows += len(click_B)
        self._clicks += int(click_B.sum())

    @property
    def pairs(self) -> PairCounts:
        """The counts that the AUC is computed from."""
        return self._pairs

    def sums(self) -> tuple[float, ...]:
        """Rows, clicks, and the sums of the losses and of the probabilities, for `add_sums`."""
        return (self._rows, self._clicks, self._loss.value, self._probability.value)

    def add_sums(self, sums: Sequence[float]) -> None:
        """Add the `sums` of other rows, whose counts are added to `pairs`."""
        rows, clicks, loss, probability = sums
        self._rows += int(rows)
        self._clicks += int(clicks)
        self._loss.add_block(loss)
        self._probability.add_block(probability)

    def result(self) -> Metrics:
        """The metrics of all rows so far.

        Raises
        ------
        DataError
            There are no rows, or all or none of them have a click.
        """
        check_outcomes(self._clicks, self._rows)
        click_rate = self._clicks / self._rows
        logloss = self._loss.value / self._rows
        return Metrics(
            rows=self._rows,
            click_rate=click_rate,
            auc=self._pairs.area(),
            logloss=logloss,
            normalized_entropy=logloss / entropy(click_rate),
            calibration=self._probability.value / self._rows / click_rate,
        )


class _Sum:
    """A sum of blocks of float64."""

    def __init__(self) -> None:
        self._blocks: list[float] = []

    def add(self, values: NDArray[np.float64]) -> None:
        self.add_block(math.fsum(values.tolist()))

    def add_block(self, value: float) -> None:
        self._blocks.append(value)
        if len(self._blocks) == BLOCKS:
            self._blocks = [self.value]

    @property
    def value(self) -> float:
        return math.fsum(self._blocks)
