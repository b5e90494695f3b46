"""Training settings derived from the number of training rows: batch size, epochs, rates."""

from __future__ import annotations

import math

from plumbline.settings import Training
from plumbline.settings.base import PositiveFloat, PositiveInt
from plumbline.settings.training import ARTICLE_BATCH, ARTICLE_LEARNING_RATE

SMALLEST_BATCH, LARGEST_BATCH = 32, 8192
MOST_EPOCHS = 20
SAMPLES = 1_000_000
"""Samples to train on in all epochs together; there is at least one epoch."""

CLICKS_AN_EPOCH = 10
"""Training rows of the rarer outcome per epoch; with few of them, the validation split has too few
to detect overfitting."""
FEWEST_EPOCHS = 2
"""Epochs if only the number of clicks limits them."""

ADAM_RATE = 1e-3
ADAGRAD_RATE = 2e-2


class PlannedTraining(Training):
    """Training settings without `auto`."""

    epochs: PositiveInt
    batch_size: PositiveInt
    learning_rate: PositiveFloat
    embedding_learning_rate: PositiveFloat
    averaging: bool
    fit_bias: bool

    def epoch_steps(self, rows: int) -> int:
        """Steps of an epoch of this number of training rows."""
        return math.ceil(rows / self.batch_size)

    @property
    def stops_early(self) -> bool:
        """Whether the validation split decides which epoch's weights are kept."""
        return self.early_stopping and self.epochs > 1


def planned(training: Training, rows: int, clicks: int | None = None) -> PlannedTraining:
    """Settings for this number of training rows and clicks; explicit settings are kept.

    Epochs cover a million samples, at most 20 epochs, and at most one per ten rows of the rarer
    outcome, if `clicks` is given.

    Weights are averaged and the output bias fitted for several epochs of up to a million rows. In a
    single epoch the learning rate decays to zero instead, and on large tables averaging would pass
    over all weights too often.

    The batch size is the power of two nearest to √rows: small tables need many steps, large tables
    few and wide ones.

    >>> for rows in (900, 10_000, 100_000, 40_000_000):
    ...     plan = planned(Training(), rows)
    ...     print(plan.batch_size, plan.epochs, plan.learning_rate, plan.embedding_learning_rate)
    32 20 0.001 0.02
    128 20 0.001 0.02
    256 10 0.001 0.02
    8192 1 0.001 0.02
    >>> planned(Training(), 10_000, clicks=40).epochs
    4
    >>> planned(Training(batch_size=1000, epochs=3), 10_000).batch_size
    1000
    """
    batch_size = _batch_size(rows) if training.batch_size == "auto" else training.batch_size
    chosen = {
        "epochs": _epochs(rows, clicks),
        "batch_size": batch_size,
        "learning_rate": _rate(training.optimizer, ADAM_RATE, batch_size),
        "embedding_learning_rate": _rate(training.embedding_optimizer, ADAGRAD_RATE, batch_size),
    }
    given = {key: value for key, value in training.model_dump().items() if value != "auto"}
    small = given.get("epochs", chosen["epochs"]) > 1 and rows <= SAMPLES
    return PlannedTraining.model_validate(
        {**chosen, "averaging": small, "fit_bias": small, **given}
    )


def _batch_size(rows: int) -> int:
    nearest = 1 << round(math.log2(max(1, rows)) / 2)
    return min(max(nearest, SMALLEST_BATCH), LARGEST_BATCH)


def _epochs(rows: int, clicks: int | None) -> int:
    most = min(max(1, round(SAMPLES / max(1, rows))), MOST_EPOCHS)
    if clicks is None:
        return most
    rarer = min(clicks, rows - clicks)
    return min(most, max(FEWEST_EPOCHS, rarer // CLICKS_AN_EPOCH))


def _rate(optimizer: str, adaptive: float, batch_size: int) -> float:
    """SGD: the article's rate, in proportion to the batch size; other optimizers: `adaptive`."""
    if optimizer == "sgd":
        return ARTICLE_LEARNING_RATE * batch_size / ARTICLE_BATCH
    return adaptive
