"""The training loop: a form of the model, and the feed of its batches.

Two runs with one seed on one machine give the same weights to the bit, and so does a run that was
cut off and taken up again. On a CUDA device that holds as far as torch's own kernels are
deterministic, and has not been tried.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from dlrm.checkpoint import Checkpoint, Position, Stateful
from dlrm.evaluation import check_outcomes_of, evaluate
from dlrm.feeds.feed import Batch, Feed, Order
from dlrm.metrics import Metrics
from dlrm.model import DLRM
from dlrm.precision import Precision
from dlrm.schedule import Schedule
from dlrm.scoring.scorer import Scorer
from dlrm.weights import save_model
from features.errors import StageError

if TYPE_CHECKING:
    from features.settings import Training

CHECK_EVERY = 20
"""Steps between two looks at the loss, each of which waits for the device."""

FINAL_STEPS = 100
CURVE_POINTS = 200


class Form(Stateful, Protocol):
    """A model in training, with its optimizers. Its state is all that a later step depends on."""

    name: str
    precision: Precision
    logit_offset: float
    """Added to the logits in the training loss alone: what the log-odds of the rows trained on have
    more than those of the rows to score."""

    def step(self, batch: Batch, factor: float) -> Tensor:
        """Train on a batch at `factor` times the learning rates; the mean loss, on the device."""
        ...

    def canonical(self) -> DLRM:
        """The model as it is stored."""
        ...


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What training found out."""

    steps: int
    samples_per_second: float
    """Over the time spent on steps and loading: not on validation and checkpoints."""
    waiting_share: float
    """Share of that time in which the step waited for its batch."""
    final_loss: float
    """Mean of the last 100 steps' losses."""
    loss_curve: tuple[tuple[int, float], ...]
    """(step, mean loss of the steps since the point before), at most 200 points."""
    valid: tuple[Metrics, ...]
    """Metrics of the validation split after each epoch."""


def train(
    form: Form,
    feed: Feed,
    training: Training,
    *,
    seed: int,
    valid_files: Sequence[Path],
    out: Path,
    plan_hash: str,
    progress: Callable[[int], None] | None = None,
) -> TrainResult:
    """Train a DLRM and write it to `out/model`; goes on from `out/checkpoint` where there is one.

    The weights are those after the last epoch: the validation metrics stop nothing.

    Parameters
    ----------
    feed
        Of the training split, in batches of `training.batch_size`.
    plan_hash
        Content hash of the plan that encoded the rows; kept with the model.
    progress
        Told after each step how many rows more are done; the rows of an earlier run come at once.

    Raises
    ------
    StageError
        The checkpoint is of a run with other settings or data, there is no row to train on, or the
        loss is not finite.
    DataError
        The validation split has no click or only clicks.
    """
    check_outcomes_of(valid_files)
    if feed.rows == 0:
        raise StageError("Training: the training split has no rows. Run ingest on more data.")
    identity = {
        "form": form.name,
        "precision": form.precision,
        "architecture": form.canonical().architecture.to_json(),
        "training": training.model_dump(mode="json", exclude={"checkpoint_every", "precision"}),
        "seed": seed,
        "plan_hash": plan_hash,
        "train_rows": feed.rows,
        "logit_offset": form.logit_offset,
    }
    checkpoint = Checkpoint(out / "checkpoint", identity, form)
    position = checkpoint.restore()
    schedule = Schedule.of(training, training.epochs * math.ceil(feed.rows / training.batch_size))
    tell = progress or _nobody
    tell(position.samples)
    while position.epoch < training.epochs:
        batches = feed.batches(Order(seed, position.epoch), skip=position.batch)
        with closing(batches):
            _run_epoch(
                form, batches, schedule, training.checkpoint_every, checkpoint, position, tell
            )
        position.valid.append(evaluate(Scorer.of(form.canonical()), valid_files))
        position.epoch, position.batch = position.epoch + 1, 0
        checkpoint.save(position)
    save_model(out / "model", form.canonical(), plan_hash)
    return TrainResult(
        steps=position.step,
        samples_per_second=position.samples / position.seconds,
        waiting_share=position.waiting_seconds / position.seconds,
        final_loss=_mean(position.losses[-FINAL_STEPS:]),
        loss_curve=loss_curve(position.losses),
        valid=tuple(position.valid),
    )


def loss_curve(losses: Sequence[float]) -> tuple[tuple[int, float], ...]:
    """(step, mean loss of the steps since the point before), at most 200 points.

    >>> loss_curve([0.5, 0.25])
    ((1, 0.5), (2, 0.25))
    """
    span = max(1, math.ceil(len(losses) / CURVE_POINTS))
    parts = [losses[start : start + span] for start in range(0, len(losses), span)]
    ends = accumulate(len(part) for part in parts)
    return tuple((end, _mean(part)) for end, part in zip(ends, parts, strict=True))


def _run_epoch(
    form: Form,
    batches: Iterator[Batch],
    schedule: Schedule,
    checkpoint_every: int,
    checkpoint: Checkpoint,
    position: Position,
    tell: Callable[[int], None],
) -> None:
    """Train on the rest of an epoch's batches, and move `position` along."""
    pending: list[Tensor] = []
    since = time.perf_counter()
    for batch in _timed(batches, position):
        pending.append(form.step(batch, schedule.factor(position.step)))
        position.batch += 1
        position.step += 1
        position.samples += len(batch)
        checkpoint_due = position.step % checkpoint_every == 0
        if checkpoint_due or len(pending) == CHECK_EVERY:
            _book(pending, position)
        if checkpoint_due:
            position.seconds += time.perf_counter() - since
            checkpoint.save(position)
            since = time.perf_counter()
        tell(len(batch))
    _book(pending, position)
    position.seconds += time.perf_counter() - since


def _timed(batches: Iterator[Batch], position: Position) -> Iterator[Batch]:
    """The batches; the time until each comes is booked as waiting."""
    while True:
        since = time.perf_counter()
        batch = next(batches, None)
        position.waiting_seconds += time.perf_counter() - since
        if batch is None:
            return
        yield batch


def _book(pending: list[Tensor], position: Position) -> None:
    """Move the losses of the last steps into `position`; raises StageError for one not finite."""
    losses = torch.stack(pending).tolist() if pending else []
    for loss in losses:
        position.losses.append(loss)
        if not math.isfinite(loss):
            raise StageError(
                f"Training: the loss of step {len(position.losses)} is {loss}. Lower "
                "training.learning_rate and training.embedding_learning_rate, and look for "
                "values that are not finite in the encoded rows."
            )
    pending.clear()


def _mean(losses: Sequence[float]) -> float:
    return math.fsum(losses) / len(losses)


def _nobody(rows: int) -> None:
    """Progress that nobody wants to see."""
