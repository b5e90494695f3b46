"""Compare served ids, features and probabilities with those computed offline.

Legend: B rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.features.encoding.encoder import Encoded
from plumbline.serving.client.client import Client
from plumbline.serving.errors import ServerError


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences between served and offline. `ids_identical` includes lists of ids.

    `max_abs_score_diff` is the largest one of the ensemble and the fused model.
    """

    rows_compared: int
    ids_identical: bool
    max_abs_dense_diff: float
    max_abs_score_diff: float


def compare(
    ensemble: Client,
    fused: Client,
    raw: pa.Table,
    expected: Encoded,
    offline_probability_B: NDArray[np.float32],
) -> Comparison:
    """Serve raw rows, and compare ids, dense features and probabilities with the offline ones.

    Both models score every row; the feature model returns the ids and dense features. NaN equals
    NaN in dense features.

    Raises
    ------
    ServerError
        The server answers with an error, with another number of rows, or with probabilities that
        are NaN or infinite.
    """
    encoded = fused.encode(raw)
    score_differences = [
        _largest_difference(_probabilities(client, raw), offline_probability_B)
        for client in (ensemble, fused)
    ]
    return Comparison(
        rows_compared=raw.num_rows,
        ids_identical=_same_ids(encoded, expected),
        max_abs_dense_diff=_largest_difference(encoded.dense_BC, expected.dense_BC),
        max_abs_score_diff=max(score_differences),
    )


def _same_ids(served: Encoded, offline: Encoded) -> bool:
    return (
        np.array_equal(served.ids_BF, offline.ids_BF)
        and len(served.bags) == len(offline.bags)
        and all(
            np.array_equal(np.asarray(ours.values), np.asarray(theirs.values))
            and np.array_equal(ours.offsets, theirs.offsets)
            for ours, theirs in zip(served.bags, offline.bags, strict=True)
        )
    )


def _probabilities(client: Client, raw: pa.Table) -> NDArray[np.float32]:
    probability_B = client.score(raw)
    not_numbers = int(np.count_nonzero(~np.isfinite(probability_B)))
    if not_numbers:
        raise ServerError(f"The server returned {not_numbers} probabilities that are not numbers.")
    return probability_B


def _largest_difference(served: NDArray[np.float32], offline: NDArray[np.float32]) -> float:
    if served.shape != offline.shape:
        raise ServerError(f"Served: wanted shape {offline.shape}, as offline, got {served.shape}.")
    both_nan = np.isnan(served) & np.isnan(offline)
    same = both_nan | (served == offline)
    difference = np.abs(served.astype(np.float64) - offline.astype(np.float64))
    return float(np.where(same, 0.0, difference).max(initial=0.0))
