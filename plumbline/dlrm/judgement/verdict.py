"""Compare the model with the baselines, and advise by the symptoms if it is not better."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline.dlrm.metrics.metrics import Metrics, row_losses

CALIBRATION = 0.10
"""Tolerated relative error of the mean predicted click rate."""

NOISE = 2.0
"""Differences within this many standard errors are noise."""

FEW_STEPS = 300
OVERFIT = 1.05
"""The model overfits above this ratio of validation to training log loss."""
RISEN = 1.005
"""The validation log loss has risen above this ratio to the best epoch's."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`ok`: better than the baselines and calibrated. `text`: one line. `advice`: what to try."""

    ok: bool
    text: str
    advice: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean difference of two models' losses on the same rows, and its standard error."""

    mean: float
    error: float


class LossDifference:
    """Accumulates the differences of two models' losses on the same rows, block by block."""

    def __init__(self) -> None:
        self._rows = 0
        self._sum = self._squares = 0.0

    def add(
        self, click_B: NDArray[np.float32], one_B: NDArray[np.float32], other_B: NDArray[np.float32]
    ) -> None:
        """Add rows: clicks of 0 and 1, and the two models' probabilities."""
        clicks = click_B.astype(np.float64)
        losses = [row_losses(clicks, p_B.astype(np.float64)) for p_B in (one_B, other_B)]
        apart_B = losses[0] - losses[1]
        self._rows += len(apart_B)
        self._sum += float(apart_B.sum())
        self._squares += float(np.square(apart_B).sum())

    def result(self) -> Difference:
        mean = self._sum / self._rows
        variance = max(self._squares / self._rows - mean**2, 0.0)
        return Difference(mean, math.sqrt(variance / self._rows))


@dataclass(frozen=True, slots=True)
class Evidence:
    """Input of a verdict: metrics of the test and validation splits, and the course of training."""

    test: Metrics
    constant: Metrics
    regression: Metrics
    difference: Difference
    """Loss on the test rows: the model's minus the regression's."""
    valid: Metrics
    valid_regression: Metrics
    train_click_rate: float
    steps: int
    final_loss: float
    """Mean loss of the last training steps."""
    valid_losses: tuple[float, ...]
    """Log loss of the validation split after each epoch."""
    data_warnings: int


def judge(evidence: Evidence) -> Verdict:
    """Compare the model with both baselines and its scores with the clicks.

    A log loss worse than either baseline's is always a failure; the text notes a difference to the
    regression within the noise of the test rows. Miscalibration above 10 % is a failure if it
    exceeds the noise of the clicks.
    """
    test, constant, regression = evidence.test, evidence.constant, evidence.regression
    apart = evidence.difference
    worse_than = []
    is_even = abs(apart.mean) <= NOISE * apart.error
    within = ", within the noise of the test rows" if is_even else ""
    if test.logloss > regression.logloss:
        worse_than.append(f"logistic regression ({_quality(regression)}{within})")
    if test.logloss >= constant.logloss:
        worse_than.append(f"the constant click rate ({constant.logloss:.4f})")
    noise = _calibration_noise(test)
    is_off = abs(test.calibration - 1) > CALIBRATION
    off = is_off and abs(test.calibration - 1) > noise
    calibration = f"calibration {test.calibration:.2f}"
    if worse_than:
        text = f"Worse than {' and '.join(worse_than)}: test {_quality(test)}, {calibration}."
    elif off:
        text = (
            f"Scores are {test.calibration:.2f} times the clicks (wanted 0.90 to 1.10): the "
            f"calibration is off, though {_quality(test)} is better than the constant click rate "
            f"({constant.logloss:.4f})."
        )
    else:
        hidden = f" (its noise is {noise:.0%})" if is_off else ""
        text = (
            f"Better than logistic regression ({_quality(regression)}{within}) and the constant "
            f"click rate ({constant.logloss:.4f}): test {_quality(test)}, {calibration}{hidden}."
        )
    is_ok = not worse_than and not off
    return Verdict(is_ok, text, () if is_ok else tuple(_advice(evidence, bool(worse_than), off)))


def _quality(metrics: Metrics) -> str:
    return f"log loss {metrics.logloss:.4f}, AUC {metrics.auc:.4f}"


def _calibration_noise(test: Metrics) -> float:
    """Deviation of the calibration from 1 that chance explains for this number of clicks."""
    clicks = test.rows * test.click_rate
    return NOISE * math.sqrt((1 - test.click_rate) / clicks)


def _advice(evidence: Evidence, is_worse: bool, is_off: bool) -> list[str]:
    """Advice by the symptoms, likeliest first; never empty."""
    advice = [*_from_training(evidence)]
    drifted = _drift(evidence)
    if drifted:
        advice.append(drifted)
    if evidence.data_warnings:
        advice.append(f"See the warnings about data and model ({evidence.data_warnings}).")
    if is_off and not drifted:
        advice.append(
            "Scores are off overall: train longer, or with a smaller "
            "training.embedding_learning_rate, until their mean is the click rate."
        )
    if is_worse and not advice:
        advice.append(
            "Try a third of training.learning_rate and training.embedding_learning_rate, a smaller "
            "model.top_mlp, and a higher workflow.options.frequency_threshold."
        )
    return advice


def _from_training(evidence: Evidence) -> list[str]:
    losses: Sequence[float] = evidence.valid_losses
    best = min(losses, default=math.inf)
    risen = len(losses) > 1 and losses[-1] > best * RISEN
    kept_best = evidence.valid.logloss <= best * RISEN
    advice = []
    if evidence.steps < FEW_STEPS and not risen:
        advice.append(
            f"Training made only {evidence.steps:,} steps: set a smaller training.batch_size, or "
            "more training.epochs."
        )
    elif len(losses) > 1 and losses[-1] <= best and not risen:
        advice.append(
            "The validation log loss still fell in the last epoch: set more training.epochs."
        )
    if risen:
        epoch = 1 + losses.index(best)
        fewer = "" if kept_best else f"training.epochs to {epoch}, "
        advice.append(
            "The model overfits: the validation log loss was best after epoch "
            f"{epoch} ({best:.4f}) and {losses[-1]:.4f} at the end. Set {fewer}smaller learning "
            "rates, a smaller model.embedding_dim, or a higher "
            "workflow.options.frequency_threshold."
        )
    elif evidence.valid.logloss > OVERFIT * evidence.final_loss and evidence.steps >= FEW_STEPS:
        advice.append(
            f"The training loss ({evidence.final_loss:.4f}) is far below the validation log loss "
            f"({evidence.valid.logloss:.4f}): raise workflow.options.frequency_threshold, lower "
            "model.embedding_dim, or make fewer training.epochs."
        )
    return advice


def _drift(evidence: Evidence) -> str | None:
    train, test = evidence.train_click_rate, evidence.test.click_rate
    if abs(train / test - 1) > max(CALIBRATION, _calibration_noise(evidence.test)):
        return (
            f"The click rate is {train:.3%} in training and {test:.3%} in test: train on rows "
            "closer to those that are scored, or split at random (split.by: hash)."
        )
    better_on_valid = evidence.valid.logloss < evidence.valid_regression.logloss
    if better_on_valid and evidence.difference.mean > 0:
        return (
            "The model beats logistic regression on the validation split but not on the test "
            "split: the rows change between the splits, so take a valid split closer to "
            "the test split."
        )
    return None
