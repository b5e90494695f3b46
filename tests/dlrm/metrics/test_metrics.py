"""Metrics against hand-computed answers, and against their definitions."""

from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.base.errors import DataError
from plumbline.dlrm.metrics import click_metrics, pair_counts
from plumbline.dlrm.metrics.click_metrics import ClickMetrics
from plumbline.dlrm.metrics.metrics import (
    Metrics,
    area_under_curve,
    calibration,
    log_loss,
    normalized_entropy,
)
from plumbline.dlrm.metrics.pair_counts import PairCounts

# Few distinct scores, so that there are ties.
ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40).filter(
    lambda rows: len({click for click, _ in rows}) == 2
)


def defined(click_B: np.ndarray, probability_B: np.ndarray) -> Metrics:
    """From the definitions."""
    return Metrics(
        len(click_B),
        np.count_nonzero(click_B) / max(1, len(click_B)),
        area_under_curve(click_B, probability_B),
        log_loss(click_B, probability_B),
        normalized_entropy(click_B, probability_B),
        calibration(click_B, probability_B),
    )


def judged(click_B, probability_B, block: int = 2**20, **arguments) -> Metrics:
    """Metrics computed block by block."""
    metrics = ClickMetrics(**arguments)
    for start in range(0, len(click_B), block):
        rows = slice(start, start + block)
        metrics.add(click_B[rows], probability_B[rows])
    return metrics.result()


def split(rows: list[tuple[bool, int]]) -> tuple[np.ndarray, np.ndarray]:
    clicks, scores = zip(*rows, strict=True)
    return np.array(clicks, np.int8), np.array(scores, np.float32) / 8


@settings(max_examples=200)
@given(ROWS)
def test_auc_is_the_share_of_ordered_pairs(rows):
    click_B, score_B = split(rows)
    pairs = [(c > o) + 0.5 * (c == o) for c in score_B[click_B == 1] for o in score_B[click_B == 0]]
    assert area_under_curve(click_B, score_B) == pytest.approx(np.mean(pairs), abs=1e-15)


@settings(max_examples=100)
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
    logloss = -(2 * math.log(0.5) + 2 * math.log(0.75)) / 4
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    wanted = (4, 0.25, 2.5 / 3, logloss, logloss / entropy, 1.5)
    for actual in (defined(click_B, probability_B), judged(click_B, probability_B)):
        assert astuple(actual) == pytest.approx(wanted, abs=1e-15)


def test_predicting_the_click_rate_is_the_yardstick():
    click_B = np.array([1, 0, 0, 1, 0])
    assert normalized_entropy(click_B, np.full(5, 0.4)) == pytest.approx(1.0, abs=1e-15)
    assert calibration(click_B, np.full(5, 0.4)) == pytest.approx(1.0, abs=1e-15)


def test_probabilities_rounded_to_0_and_1_have_a_finite_loss():
    click_B, certain_B = np.array([1, 0]), np.array([0.0, 0.0], np.float32)
    assert log_loss(click_B, certain_B) == pytest.approx(12 * math.log(2), abs=1e-6)
    assert log_loss(click_B, 1 - certain_B) == pytest.approx(12 * math.log(2), abs=1e-6)


@settings(max_examples=200)
@given(ROWS, st.integers(1, 12), st.integers(1, 9))
def test_blocks_and_spills_change_nothing(rows, block, limit):
    click_B, probability_B = split(rows)
    actual, wanted = (
        judged(click_B, probability_B, block, limit=limit),
        defined(click_B, probability_B),
    )
    assert actual.auc == wanted.auc
    assert astuple(actual) == pytest.approx(astuple(wanted), rel=1e-14)


@pytest.mark.parametrize("limit", [20, 300, 2**21])
@pytest.mark.parametrize("decimals", [1, 3, 17])
@pytest.mark.parametrize("shape", ["random", "rising", "falling"])
def test_many_scores_are_merged_from_the_temporary_file(tmp_path, limit, decimals, shape):
    generator = np.random.default_rng([limit, decimals])
    score_B = generator.normal(size=1000).round(decimals)
    if shape != "random":
        score_B = np.sort(score_B)[:: 1 if shape == "rising" else -1]
    click_B = generator.random(1000) < 1 / (1 + np.exp(-score_B))
    pairs = PairCounts(limit, tmp_path)
    for start in range(0, 1000, 270):
        pairs.add(click_B[start : start + 270], score_B[start : start + 270])
    for _ in range(2):  # computing the result changes nothing
        assert pairs.area() == area_under_curve(click_B, score_B)
    pairs.add(click_B[:100], score_B[:100])
    twice = np.r_[np.arange(1000), np.arange(100)]
    assert pairs.area() == area_under_curve(click_B[twice], score_B[twice])
    assert not list(tmp_path.iterdir())


def test_held_counts_are_bounded_and_the_rest_is_in_the_file(tmp_path, monkeypatch):
    held = []
    summed = pair_counts._summed
    monkeypatch.setattr(
        pair_counts, "_summed", lambda parts: held.append(sum(map(len, parts))) or summed(parts)
    )
    score_B, click_B = np.random.default_rng(1).random(50_000), np.arange(50_000) % 2
    pairs = PairCounts(limit=1000, folder=tmp_path)
    for start in range(0, 50_000, 500):
        pairs.add(click_B[start : start + 500], score_B[start : start + 500])
    assert pairs.area() == area_under_curve(click_B, score_B)
    assert max(held) <= 2000  # the limit and a block, or two shares of each run
    assert len(held) < 400


def test_few_distinct_scores_need_no_file(tmp_path):
    pairs = PairCounts(limit=10, folder=tmp_path / "absent")
    for _ in range(100):
        pairs.add(np.array([0, 1, 1]), np.array([0.5, 0.25, 0.75]))
    assert pairs.area() == 0.5
    with pytest.raises(FileNotFoundError):  # the folder is needed only for a file
        pairs.add(np.arange(11) % 2, np.arange(11) / 16)


def test_pairs_beyond_64_bits_are_counted():
    many = np.array([(0.25, 2**33, 2**33), (0.5, 2**33, 2**33)], pair_counts.COUNTS)
    assert pair_counts._half_pairs(many) == 2 * 2**66 + 2 * 2**66


def test_a_row_is_named_by_its_index_among_all():
    metrics = ClickMetrics()
    metrics.add(np.array([0, 1]), np.array([0.5, 0.5]))
    with pytest.raises(DataError, match=r"probabilities in \[0, 1\], got -0.5 \(row 3\)"):
        metrics.add(np.array([0, 1]), np.array([0.5, -0.5]))


def test_sums_of_many_blocks_are_exact(monkeypatch):
    monkeypatch.setattr(click_metrics, "BLOCKS", 4)
    click_B = np.arange(1000) % 2
    probability_B = np.random.default_rng(2).random(1000)
    actual = judged(click_B, probability_B, block=3)
    assert astuple(actual) == pytest.approx(astuple(defined(click_B, probability_B)), rel=1e-14)


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
@pytest.mark.parametrize("judge", [defined, judged], ids=lambda judge: judge.__name__)
def test_refuses_what_has_no_metrics(clicks, scores, message, judge):
    if judge is defined and "probabilities" in message:
        pytest.skip("the definitions take any score")
    with pytest.raises(DataError, match=message):
        judge(np.array(clicks), np.array(scores))
