"""The steps fitted on histograms."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.features.operators.bucketize import Bucketize
from plumbline.features.operators.quantile_bucketize import FitQuantileBucketize
from plumbline.features.operators.quantile_transform import FitQuantileTransform, Interpolate
from plumbline.features.statistics.histogram import Histogram
from tests.histograms import LARGEST, NUMBERS, SCALES, counted


def buckets_of(histogram: Histogram, buckets: int, rows_each: int = 1) -> Bucketize:
    return FitQuantileBucketize(buckets, rows_each).of(histogram)


def transform_of(histogram: Histogram, knots: int) -> Interpolate:
    return FitQuantileTransform(knots).of(histogram)


def ids(numbers: Any, buckets: int, values: Any) -> list[int]:
    step = buckets_of(counted(numbers), buckets)
    return step.apply(np.asarray(values, np.float64)).tolist()


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("buckets", [2, 7, 32, 100])
def test_buckets_have_about_equal_numbers_of_rows(scale: str, buckets: int) -> None:
    numbers = SCALES[scale](np.random.default_rng(1)).astype(np.float32)
    count = np.bincount(ids(numbers, buckets, numbers))
    assert len(count) == buckets
    np.testing.assert_allclose(count, len(numbers) / buckets, rtol=0.15)


def test_few_distinct_numbers_and_missing_ones_have_their_own_buckets() -> None:
    seen = [5.0, -1.0, 5.0, 2.0, math.nan]
    values = [-9.0, -1.0, 1.9, 2.0, 4.0, 5.0, 1e30, math.nan]
    assert ids(seen, 3, values) == [0, 0, 0, 1, 1, 2, 2, 3]
    assert ids(seen, 100, values) == ids(seen, 3, values)


@pytest.mark.parametrize("heavy", [-3.0, 0.5, 3.0])
def test_a_frequent_number_has_its_own_bucket_and_the_others_are_divided(heavy: float) -> None:
    rest = np.random.default_rng(1).standard_normal(2_000).astype(np.float32)
    numbers = np.concatenate([np.full(18_000, heavy), rest])
    count = np.bincount(ids(numbers, 16, numbers))
    assert len(count) == 16
    assert sorted(count)[-1] < 18_000 + 5
    assert sorted(count)[-2] < 400


@pytest.mark.parametrize(("rows_each", "buckets"), [(1, 32), (31, 32), (100, 10), (900, 2)])
def test_fewer_buckets_if_they_would_be_small(rows_each: int, buckets: int) -> None:
    numbers = np.random.default_rng(1).standard_normal(1_000)
    assert buckets_of(counted(numbers), 32, rows_each).ids == buckets + 1
    flags = buckets_of(counted([0.0] * 90 + [1.0]), 32, rows_each)
    assert flags.apply(np.array([0.0, 1.0, math.nan])).tolist() == [0, 1, 2]


def test_no_numbers() -> None:
    assert ids([math.nan], 8, [1.0, -1.0, math.nan]) == [0, 0, 1]
    scores = transform_of(counted([]), 64).apply(np.array([1.0, -1e30, math.nan]))
    np.testing.assert_array_equal(scores, [0.0, 0.0, math.nan])


@given(NUMBERS, st.integers(1, 9), st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_ids_ascend_with_numbers(numbers: list[float], buckets: int, unseen: float) -> None:
    step = buckets_of(counted(numbers), buckets)
    values = np.sort(np.array([*numbers, unseen, -LARGEST, LARGEST]))
    values = values[~np.isnan(values)]
    ids = step.apply(values)
    assert list(step.boundaries) == sorted(set(step.boundaries))
    assert step.ids <= buckets + 1
    assert np.all(np.diff(ids) >= 0)
    assert ids.max() < step.ids - 1
    assert step.apply(np.array([math.nan])).tolist() == [step.ids - 1]
    # Each bucket has a row of the training split.
    assert len(np.unique(step.apply(np.array(numbers)))) >= step.ids - 1 or not numbers


@given(NUMBERS, st.integers(2, 9), st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_scores_ascend_with_numbers_and_are_bounded(
    numbers: list[float], knots: int, unseen: float
) -> None:
    step = transform_of(counted(numbers), knots)
    values = np.sort(np.array([*numbers, unseen, -LARGEST, LARGEST]))
    scores = step.apply(values[~np.isnan(values)])
    assert len(step.points) <= max(knots, 1)
    assert np.all(np.abs(scores) < 6)
    assert np.all(np.diff(scores) >= -1e-12)


@pytest.mark.parametrize("scale", SCALES)
def test_scores_are_normal_on_any_scale(scale: str) -> None:
    numbers = SCALES[scale](np.random.default_rng(1)).astype(np.float32)
    scores = transform_of(counted(numbers), 64).apply(numbers.astype(np.float64))
    rank = (np.argsort(np.argsort(numbers)) + 0.5) / len(numbers)
    wanted = np.array([NormalDist().inv_cdf(one) for one in rank])
    inner = np.abs(wanted) < 1.9
    # Numbers that float32 cannot tell apart have one score.
    np.testing.assert_allclose(scores[inner], wanted[inner], atol=0.06)
    assert abs(scores.mean()) < 0.05
    assert 0.9 < scores.std() < 1.15


def test_equal_numbers_have_the_score_of_their_middle_rank() -> None:
    step = transform_of(counted([0, 0, 0, 0, 0, 0, 5, 9]), 64)
    scores = step.apply(np.array([-1.0, 0.0, 5.0, 9.0, 10.0]))
    wanted = [NormalDist().inv_cdf(one) for one in (3 / 8, 3 / 8, 6.5 / 8, 7.5 / 8, 7.5 / 8)]
    np.testing.assert_allclose(scores, wanted)
    assert transform_of(counted([7.0, 7.0]), 64).apply(np.array([7.0, 8.0])).tolist() == [
        0,
        0,
    ]
