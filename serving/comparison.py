"""Hold what is served against what was computed offline.

Legend: B rows, F categorical columns, C continuous columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.errors import ServerError
from serving.client import Client


@dataclass(frozen=True, slots=True)
class Comparison:
    """`max_abs_score_diff` is over the ensemble and the fused model, both against offline."""

    rows_compared: int
    ids_identical: bool
    max_abs_dense_diff: float
    max_abs_score_diff: float


def compare(
    ensemble: Client,
    fused: Client,
    raw: pa.Table,
    expected_ids_BF: NDArray[np.int64],
    expected_dense_BC: NDArray[np.float32],
    offline_probability_B: NDArray[np.float32],
) -> Comparison:
    """Serve raw rows, and compare ids, dense features and probabilities with the offline ones.

    Both models score every row; the ids and dense features come from the feature step. NaN equals
    NaN in dense features.

    Raises
    ------
    ServerError
        The server answers with an error, or with probabilities that are not numbers.
    """
    ids_BF, dense_BC = fused.encode(raw)
    score_differences = [
        _largest_difference(_probabilities(client, raw), offline_probability_B)
        for client in (ensemble, fused)
    ]
    return Comparison(
        rows_compared=raw.num_rows,
        ids_identical=bool(np.array_equal(ids_BF, expected_ids_BF)),
        max_abs_dense_diff=_largest_difference(dense_BC, expected_dense_BC),
        max_abs_score_diff=max(score_differences),
    )


def _probabilities(client: Client, raw: pa.Table) -> NDArray[np.float32]:
    probability_B = client.score(raw)
    wrong = int(np.count_nonzero(~np.isfinite(probability_B)))
    if wrong:
        raise ServerError(f"The server gave {wrong} probabilities that are not numbers.")
    return probability_B


def _largest_difference(served: NDArray[np.float32], offline: NDArray[np.float32]) -> float:
    if served.shape != offline.shape:
        raise ServerError(f"Served shape {served.shape}, but offline shape {offline.shape}.")
    both_nan = np.isnan(served) & np.isnan(offline)
    same = both_nan | (served == offline)
    difference = np.abs(served.astype(np.float64) - offline.astype(np.float64))
    return float(np.where(same, 0.0, difference).max(initial=0.0))
