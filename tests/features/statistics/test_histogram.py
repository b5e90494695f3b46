"""Histograms of numbers, within their bounds and with few bins."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plumbline.features.statistics import histogram
from plumbline.features.statistics.histogram import MAX_BINS, Histogram, NumberCounts
from tests.histograms import LARGEST, NUMBERS, SCALES, counted


@pytest.fixture
def few_bins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histogram, "MAX_BINS", 7)


def same(one: Histogram, other: Histogram) -> None:
    assert other.level == one.level
    assert other.bins.tolist() == one.bins.tolist()
    assert other.count.tolist() == one.count.tolist()


@given(NUMBERS)
def test_a_histogram_counts_every_number(numbers: list[float]) -> None:
    result = counted(numbers)
    present = np.array([number for number in numbers if not math.isnan(number)])
    values, count = np.unique(present + 0.0, return_counts=True)
    assert result.level == 0
    assert result.numbers.tolist() == values.tolist()
    assert result.count.tolist() == count.tolist()
    assert result.rows == len(present)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NUMBERS, st.lists(st.integers(0, 60), max_size=4).map(sorted), st.randoms())
def test_parts_in_any_order_give_the_same_histogram(
    few_bins: None, numbers: list[float], cuts: list[int], random: Any
) -> None:
    together = counted(numbers)
    assert len(together.bins) <= 7
    random.shuffle(numbers)
    parts = np.split(np.array(numbers, np.float64), cuts)
    same(together, Histogram.merged([counted(part) for part in parts]))
    halves = [Histogram.merged([counted(part) for part in some]) for some in (parts[:1], parts)]
    same(
        Histogram.merged(halves),
        Histogram.merged([counted(part) for part in (*parts, parts[0])]),
    )
    added = NumberCounts()
    for chunk, part in enumerate(parts):
        added.add(chunk, [part])
    same(together, added.histogram())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NUMBERS)
def test_the_level_is_the_lowest_with_few_enough_bins(few_bins: None, numbers: list[float]) -> None:
    result = counted(numbers)
    if result.level:
        exact = np.unique(np.array([n for n in numbers if not math.isnan(n)], np.float32) + 0)
        bits = exact.view(np.int32).astype(np.int64) >> (result.level - 1)
        assert len(np.unique(bits)) > 7


def test_numbers_beyond_float32_are_clipped() -> None:
    result = counted([1e300, -1e300, math.inf, -math.inf])
    assert result.numbers.tolist() == [-LARGEST, LARGEST]
    assert result.count.tolist() == [2, 2]


@pytest.mark.parametrize("scale", SCALES)
def test_bins_are_bounded_and_precise(scale: str) -> None:
    numbers = np.concatenate([SCALES[scale](np.random.default_rng(seed)) for seed in range(5)])
    result = counted(numbers)
    assert len(result.bins) <= MAX_BINS
    kept = result.numbers[np.searchsorted(result.numbers, np.sort(numbers), side="right") - 1]
    np.testing.assert_allclose(kept, np.sort(numbers), rtol=1 / 500)


@pytest.mark.parametrize("bins", [2, 4])
def test_every_bin_starts_with_a_finite_number(monkeypatch: pytest.MonkeyPatch, bins: int) -> None:
    """With so few bins, the lowest one extends beyond the smallest float32."""
    monkeypatch.setattr(histogram, "MAX_BINS", bins)
    counts = NumberCounts()
    counts.add(0, [np.array([1e30, -5.4e16, 0.0, 5.6e16, -1e30, 1.1], np.float32)])
    result = counts.histogram()
    assert len(result.bins) <= bins
    assert np.isfinite(result.numbers).all()
    assert (np.diff(result.numbers) > 0).all()
