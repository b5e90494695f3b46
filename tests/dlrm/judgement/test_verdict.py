"""When a model is good enough, and the text and advice otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from plumbline.dlrm.judgement.verdict import Difference, Evidence, LossDifference, judge
from plumbline.dlrm.metrics.metrics import Metrics, log_loss


def metrics(logloss: float, auc: float = 0.7, calibration: float = 1.0, rows=10_000) -> Metrics:
    return Metrics(rows, 0.2, auc, logloss, logloss / 0.5004, calibration)


GOOD = Evidence(
    test=metrics(0.40, 0.78),
    constant=metrics(0.5004, 0.5),
    regression=metrics(0.42, 0.75),
    difference=Difference(-0.02, 0.001),
    valid=metrics(0.40, 0.78),
    valid_regression=metrics(0.42, 0.75),
    train_click_rate=0.2,
    steps=5000,
    final_loss=0.39,
    valid_losses=(0.41, 0.40),
    data_warnings=0,
)


def test_a_good_model_has_one_line_and_no_advice() -> None:
    verdict = judge(GOOD)
    assert verdict.ok and verdict.advice == ()
    for words in ("Better than logistic regression", "0.4200", "0.5004", "0.4000", "0.7800"):
        assert words in verdict.text
    assert "\n" not in verdict.text


def test_worse_than_the_regression_fails_and_the_noise_is_reported() -> None:
    worse = replace(GOOD, test=metrics(0.43), difference=Difference(0.01, 0.001))
    verdict = judge(worse)
    assert not verdict.ok and verdict.advice
    assert verdict.text.startswith("Worse than logistic regression (log loss 0.4200, AUC 0.7500)")
    within = judge(replace(worse, difference=Difference(0.01, 0.006)))
    assert not within.ok and "within the noise of the test rows" in within.text
    barely_better = judge(replace(GOOD, difference=Difference(-0.02, 0.02)))
    assert barely_better.ok and "within the noise of the test rows" in barely_better.text


def test_worse_than_the_constant_fails_for_any_test_split() -> None:
    verdict = judge(replace(GOOD, test=metrics(0.5005), difference=Difference(0.01, 1.0), steps=5))
    assert not verdict.ok
    assert "the constant click rate (0.5004)" in verdict.text


@pytest.mark.parametrize(("calibration", "ok"), [(1.09, True), (1.12, False), (0.88, False)])
def test_miscalibrated_scores(calibration: float, ok: bool) -> None:
    verdict = judge(replace(GOOD, test=metrics(0.40, calibration=calibration)))
    assert verdict.ok == ok
    assert ("calibration is off" in verdict.text) == (not ok)
    assert f"{calibration:.2f}" in verdict.text


def test_a_calibration_within_the_noise_of_few_clicks_is_reported_but_passes() -> None:
    verdict = judge(replace(GOOD, test=metrics(0.40, calibration=1.25, rows=200)))
    assert verdict.ok and "calibration 1.25 (its noise is 28%)" in verdict.text


BAD = replace(
    GOOD,
    test=metrics(0.47),
    valid=metrics(0.47),
    difference=Difference(0.05, 0.001),
    valid_losses=(0.47,),
    final_loss=0.46,
)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"steps": 15}, r"only 15 steps.*batch_size.*epochs"),
        ({"valid_losses": (0.45, 0.44, 0.47)}, r"overfits.*after epoch 2 \(0\.4400\).*epochs to 2"),
        (
            {"valid_losses": (0.50, 0.47, 0.53)},
            r"best after epoch 2 \(0\.4700\) and 0\.5300 at the end\. Set smaller learning rates",
        ),
        ({"valid_losses": (0.49, 0.48, 0.47)}, r"still fell in the last epoch.*more training\.ep"),
        ({"final_loss": 0.2}, r"training loss \(0\.2000\) is far below the validation log loss"),
        ({"train_click_rate": 0.1}, r"click rate is 10\.000% in training and 20\.000% in test"),
        ({"valid": metrics(0.41)}, r"beats logistic regression on the validation"),
        ({"data_warnings": 3}, r"warnings about data and model \(3\)"),
        ({"test": metrics(0.47, calibration=1.5)}, r"Scores are off overall"),
        ({}, r"a third of training\.learning_rate"),
    ],
)
def test_the_advice_follows_the_symptom(changes: dict, wanted: str) -> None:
    verdict = judge(replace(BAD, **changes))
    assert not verdict.ok
    text = " ".join(verdict.advice)
    with pytest.raises(AssertionError, match=wanted):
        raise AssertionError(text)


def test_click_rates_that_differ_by_chance_are_no_drift() -> None:
    few = replace(BAD, train_click_rate=0.24, test=metrics(0.51, rows=150))
    assert not any("click rate is" in advice for advice in judge(few).advice)


def test_the_difference_of_losses_is_paired() -> None:
    generator = np.random.default_rng(0)
    click = (generator.random(5000) < 0.3).astype(np.float32)
    one = generator.uniform(0.1, 0.9, 5000).astype(np.float32)
    other = np.clip(one + 0.01, 0, 1).astype(np.float32)
    difference = LossDifference()
    for start in range(0, 5000, 700):
        rows = slice(start, start + 700)
        difference.add(click[rows], one[rows], other[rows])
    result = difference.result()
    assert result.mean == pytest.approx(log_loss(click, one) - log_loss(click, other), abs=1e-9)
    assert 0 < result.error < 0.001  # a tenth of the error of two independent samples
