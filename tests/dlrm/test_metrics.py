"""Metrics against answers worked out by hand, and against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlrm.metrics import (
    area_under_curve,
    calibration,
    click_metrics,
    log_loss,
    normalized_entropy,
)
from features.errors import DataError

# Few distinct scores, so that ties come.
ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40).filter(
    lambda rows: len({click for click, _ in rows}) == 2
)


def split(rows: list[tuple[bool, int]]) -> tuple[np.ndarray, np.ndarray]:
    clicks, scores = zip(*rows, strict=True)
    return np.array(clicks, np.int8), np.array(scores, np.float32) / 8


@settings(max_examples=200, deadline=None)
@given(ROWS)
def test_auc_is_the_share_of_ordered_pairs(rows):
    click_B, score_B = split(rows)
    pairs = [(c > o) + 0.5 * (c == o) for c in score_B[click_B == 1] for o in score_B[click_B == 0]]
    assert area_under_curve(click_B, score_B) == pytest.approx(np.mean(pairs), abs=1e-15)


@settings(max_examples=100, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_auc_depends_on_the_order_of_scores_alone(rows, random):
    click_B, score_B = split(rows)
    auc = area_under_curve(click_B, score_B)
    assert area_under_curve(click_B, np.exp(3 * score_B.astype(np.float64)) - 9) == auc
    assert area_under_curve(click_B, -score_B) == pytest.approx(1 - auc, abs=1e-15)
    random.shuffle(rows)
    assert area_under_curve(*split(rows)) == auc


def test_auc_of_many_rows_counts_in_integers():
    click_B = np.tile([0, 1], 300_000)
    assert area_under_curve(click_B, np.arange(600_000) % 2) == 1.0
    assert area_under_curve(click_B, np.ones(600_000)) == 0.5


def test_known_answers():
    click_B, probability_B = np.array([1, 0, 0, 0]), np.array([0.5, 0.25, 0.25, 0.5], np.float32)
    metrics = click_metrics(click_B, probability_B)
    logloss = -(2 * math.log(0.5) + 2 * math.log(0.75)) / 4
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert metrics.rows == 4
    assert metrics.click_rate == 0.25
    assert metrics.auc == pytest.approx(2.5 / 3)
    assert metrics.logloss == pytest.approx(logloss, abs=1e-15)
    assert metrics.normalized_entropy == pytest.approx(logloss / entropy, abs=1e-15)
    assert metrics.calibration == 1.5


def test_predicting_the_click_rate_is_the_yardstick():
    click_B = np.array([1, 0, 0, 1, 0])
    assert normalized_entropy(click_B, np.full(5, 0.4)) == pytest.approx(1.0, abs=1e-15)
    assert calibration(click_B, np.full(5, 0.4)) == pytest.approx(1.0, abs=1e-15)


def test_probabilities_rounded_to_0_and_1_have_a_finite_loss():
    click_B, certain_B = np.array([1, 0]), np.array([0.0, 0.0], np.float32)
    assert log_loss(click_B, certain_B) == pytest.approx(12 * math.log(2), abs=1e-6)
    assert log_loss(click_B, 1 - certain_B) == pytest.approx(12 * math.log(2), abs=1e-6)


@pytest.mark.parametrize(
    ("clicks", "scores", "message"),
    [
        ([0, 1], [0.5], r"one score for each click, got shapes \(2,\) of clicks and \(1,\)"),
        ([0, 2], [0.5, 0.5], "clicks of 0 and 1, got other values"),
        ([1, 1], [0.5, 0.5], "with and without a click, got 2 clicks in 2 rows"),
        ([0, 0], [0.5, 0.5], "with and without a click, got 0 clicks in 2 rows"),
        ([], [], "with and without a click, got 0 clicks in 0 rows"),
        ([0, 1], [0.5, math.nan], "1 of 2 scores are NaN"),
        ([0, 1], [0.5, 1.5], r"probabilities in \[0, 1\], got 1.5 \(row 1\)"),
    ],
)
def test_refuses_what_has_no_metrics(clicks, scores, message):
    with pytest.raises(DataError, match=message):
        click_metrics(np.array(clicks), np.array(scores))
