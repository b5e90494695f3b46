"""Is the model better than what needs no model? If not: what to try, by the symptoms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline.dlrm.metrics.metrics import Metrics, row_losses

CALIBRATION = 0.10
"""Mean predicted over observed click rate may be off by so much."""

NOISE = 2.0
"""Standard errors: a difference within them is none."""

FEW_STEPS = 300
OVERFIT = 1.05
"""Validation log loss over training log loss from which on the model knows its rows by heart."""
RISEN = 1.005
"""A validation log loss over that of the best epoch."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`ok`: better than the baselines, and calibrated. `text` is one line, `advice` what to try."""

    ok: bool
    text: str
    advice: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean of the differences of two models' losses of the same rows, and its standard error."""

    mean: float
    error: float


class LossDifference:
    """Collects the differences of the losses of the same rows, block after block."""

    def __init__(self) -> None:
        self._rows = 0
        self._sum = self._squares = 0.0

    def add(
        self, click_B: NDArray[np.float32], one_B: NDArray[np.float32], other_B: NDArray[np.float32]
    ) -> None:
        """Clicks of 0 and 1, and the two models' probabilities."""
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
    """What a verdict rests on: metrics of the test and validation split, and how training went."""

    test: Metrics
    constant: Metrics
    regression: Metrics
    difference: Difference
    """The model's loss on test rows minus the regression's."""
    valid: Metrics
    valid_regression: Metrics
    train_click_rate: float
    steps: int
    final_loss: float
    """Of the last training steps."""
    valid_losses: tuple[float, ...]
    """Log loss of the validation split after each epoch."""
    data_warnings: int


def judge(evidence: Evidence) -> Verdict:
    """Compare the model with both baselines and its scores with the clicks.

    A worse log loss than either's always counts, and the text says where the difference to the
    regression is within the noise of the test rows. Scores off by more than 10 % count where they
    are beyond the noise of the clicks.
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
    """How far from 1 chance alone takes the calibration of so many clicks."""
    clicks = test.rows * test.click_rate
    return NOISE * math.sqrt((1 - test.click_rate) / clicks)


def _advice(evidence: Evidence, is_worse: bool, is_off: bool) -> list[str]:
    """By the symptoms, the likeliest first; never empty."""
    found = [*_from_training(evidence)]
    drifted = _drift(evidence)
    if drifted:
        found.append(drifted)
    if evidence.data_warnings:
        found.append(f"See the warnings about data and model ({evidence.data_warnings}).")
    if is_off and not drifted:
        found.append(
            "Scores are off as a whole: train longer, or with a smaller "
            "training.embedding_learning_rate, until their mean is the click rate."
        )
    if is_worse and not found:
        found.append(
            "Try a third of training.learning_rate and training.embedding_learning_rate, a smaller "
            "model.top_mlp, and a higher workflow.options.frequency_threshold."
        )
    return found


def _from_training(evidence: Evidence) -> list[str]:
    losses: Sequence[float] = evidence.valid_losses
    best = min(losses, default=math.inf)
    risen = len(losses) > 1 and losses[-1] > best * RISEN
    kept_best = evidence.valid.logloss <= best * RISEN
    found = []
    if evidence.steps < FEW_STEPS and not risen:
        found.append(
            f"Training made only {evidence.steps:,} steps: set a smaller training.batch_size, or "
            "more training.epochs."
        )
    elif len(losses) > 1 and losses[-1] <= best and not risen:
        found.append(
            "The validation log loss still fell in the last epoch: set more training.epochs."
        )
    if risen:
        epoch = 1 + losses.index(best)
        fewer = "" if kept_best else f"training.epochs to {epoch}, "
        found.append(
            "The model learns its rows by heart: the validation log loss was best after epoch "
            f"{epoch} ({best:.4f}) and {losses[-1]:.4f} at the end. Set {fewer}smaller learning "
            "rates, a smaller model.embedding_dim, or a higher "
            "workflow.options.frequency_threshold."
        )
    elif evidence.valid.logloss > OVERFIT * evidence.final_loss and evidence.steps >= FEW_STEPS:
        found.append(
            f"The training loss ({evidence.final_loss:.4f}) is far below the validation log loss "
            f"({evidence.valid.logloss:.4f}): raise workflow.options.frequency_threshold, lower "
            "model.embedding_dim, or make fewer training.epochs."
        )
    return found


def _drift(evidence: Evidence) -> str | None:
    train, test = evidence.train_click_rate, evidence.test.click_rate
    if abs(train / test - 1) > max(CALIBRATION, _calibration_noise(evidence.test)):
        return (
            f"The click rate is {train:.3%} in training and {test:.3%} in test: train on rows "
            "nearer to those that are scored, or split at random (split.by: hash)."
        )
    better_on_valid = evidence.valid.logloss < evidence.valid_regression.logloss
    if better_on_valid and evidence.difference.mean > 0:
        return (
            "On the validation split the model is better than logistic regression, on the test "
            "split it is not: the rows change between the splits, so take a valid split nearer to "
            "the test split."
        )
    return None
