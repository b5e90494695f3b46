"""The stability index is near zero for rows of one source, and large for others."""

from __future__ import annotations

import numpy as np
import pytest

from plumbline.dlrm.judgement.drift import stability_index
from plumbline.features.drift.bins import FEWEST, LARGE, MODERATE

ROWS = 20_000


def numbers(shift: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1, ROWS).astype(np.float32)


def ids(seed: int, rotated: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).zipf(1.5, ROWS)
    return 3 + (np.minimum(drawn, 999) + rotated) % 1000


@pytest.mark.parametrize("one", [numbers(0, 1), ids(1)])
def test_rows_of_one_source_are_alike(one: np.ndarray) -> None:
    other = numbers(0, 2) if one.dtype.kind == "f" else ids(2)
    index = stability_index(one, other, range(2, 3))
    assert index is not None and 0 <= index < 0.02


@pytest.mark.parametrize(("shift", "low", "high"), [(0.35, MODERATE, LARGE), (1.0, LARGE, 9)])
def test_shifted_numbers_are_apart(shift: float, low: float, high: float) -> None:
    index = stability_index(numbers(0, 1), numbers(shift, 2))
    assert index is not None and low < index < high


def test_the_index_is_that_of_the_formula() -> None:
    train = np.repeat([3, 4], [600, 400])
    other = np.repeat([3, 4], [300, 700])
    index = stability_index(train, other)
    assert index == pytest.approx(0.3 * np.log(2) + 0.3 * np.log(7 / 4), rel=0.02)


def test_other_frequent_ids_are_apart() -> None:
    index = stability_index(ids(1), ids(2, rotated=500), range(2, 3))
    assert index is not None and index > LARGE


@pytest.mark.parametrize("special", [1, 2, 3])
def test_missing_and_unseen_values_have_buckets_of_their_own(special: int) -> None:
    """They take the place of rare ids here, which otherwise share a bucket."""
    train = ids(1)
    other = ids(2)
    frequent = np.argsort(-np.bincount(train))[:20]
    rare = np.flatnonzero(~np.isin(other, frequent))
    other[rare] = special
    index = stability_index(train, other, range(2, 4))
    assert index is not None and index > LARGE


def test_few_values_and_none_have_no_index() -> None:
    few = np.zeros(FEWEST - 1, np.float32)
    assert stability_index(few, numbers(0, 1)) is None
    assert stability_index(numbers(0, 1), np.empty(0)) is None


def test_a_constant_column_is_like_itself() -> None:
    index = stability_index(np.zeros(900, np.float32), np.zeros(700, np.float32))
    assert index == pytest.approx(0, abs=1e-3)
