"""The training loop, over a trainer and a data loader.

Two runs with one seed on one machine give the same weights to the bit, and so does a run that was
interrupted and resumed. On a CUDA device this depends on the determinism of torch's kernels and is
not tested.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from plumbline.base.errors import StageError
from plumbline.dlrm.data.loader import Batch, DataLoader, Order
from plumbline.dlrm.metrics.metrics import Metrics, check_outcomes
from plumbline.dlrm.score.evaluation import clicks_of
from plumbline.dlrm.train.checkpoint import Checkpoint, Position
from plumbline.dlrm.train.early_stopping import EarlyStopping
from plumbline.dlrm.train.schedule import Schedule
from plumbline.dlrm.train.trainer import Trainer

if TYPE_CHECKING:
    from plumbline.dlrm.train.training_plan import PlannedTraining

CHECK_EVERY = 20
"""Steps between two reads of the loss, and of wrong ids, which wait for the device."""

FINAL_STEPS = 100
CURVE_POINTS = 200

VALID_ROWS = 2**20
VALID_CLICKS = 1000
"""A larger validation split is scored in part after an epoch: evenly spread batches with at least
this many rows, and this many of the rarer outcome."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the training rows."""

    train_loss: float
    """Mean of the steps' losses, each before its step."""
    valid: Metrics
    """Metrics of the validation split after the epoch."""
    learning_rate: float
    """Learning rate of the dense layers in the last step."""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """Figures of a training run."""

    steps: int
    samples_per_second: float
    """Over the time spent on steps and loading, without validation and checkpoints."""
    waiting_share: float
    """Share of that time spent waiting for batches."""
    final_loss: float
    """Mean of the last 100 steps' losses."""
    loss_curve: tuple[tuple[int, float], ...]
    """(step, mean loss of the steps since the point before), at most 200 points."""
    learning_rates: tuple[float, ...]
    """Learning rate of the dense layers in the step of each point of `loss_curve`."""
    epochs: tuple[Epoch, ...]
    best_epoch: int
    """Index of the epoch whose weights are kept."""
    bias_shift: float
    """Shift of the output bias by `training.fit_bias`."""

    @property
    def valid(self) -> tuple[Metrics, ...]:
        """Metrics of the validation split after each epoch."""
        return tuple(epoch.valid for epoch in self.epochs)


def train(
    trainer: Trainer,
    loader: DataLoader,
    training: PlannedTraining,
    *,
    seed: int,
    valid_files: Sequence[Path],
    out: Path,
    plan_hash: str,
    click_rate: float | None = None,
    started_from: str | None = None,
    progress: Callable[[int], None] | None = None,
    report_epoch: Callable[[int, Epoch], None] | None = None,
) -> TrainResult:
    """Train a DLRM and write it to `out/model`; resumes from `out/checkpoint` if it exists.

    The weights are those of the epoch with the best validation log loss, or of the last epoch if
    `training.early_stopping` is off. `training.fit_bias` then shifts the output bias; the epochs'
    metrics are from before the shift.

    Parameters
    ----------
    trainer
        Averages the weights if `training.averaging` says so. If several processes train one model,
        each calls this function with its trainer and the loader of its shares.
    loader
        Loader of the training split, in batches of `training.batch_size`.
    plan_hash
        Content hash of the plan that encoded the rows; stored with the model.
    click_rate
        Click rate of the loader's rows, in (0, 1). The output bias starts at its log-odds minus the
        trainer's `logit_offset`; if None, the bias is drawn like the other weights.
    started_from
        Hash of the model that the trainer goes on from; None for a new model.
    progress
        Called after each step with its number of rows; rows of an earlier run are reported in one
        call.
    report_epoch
        Called after each epoch of this run with its index and its result.

    Raises
    ------
    StageError
        The checkpoint is from a run with other settings or data, there are no training rows, or the
        loss is not finite.
    DataError
        The validation split has no clicks or only clicks.
    ModelError
        A row has an id that its column's table has not.
    """
    valid_clicks, valid_rows = clicks_of(valid_files)
    check_outcomes(valid_clicks, valid_rows)
    every = _every(valid_clicks, valid_rows)
    if loader.rows == 0:
        raise StageError("Training: the training split has no rows. Run ingest on more data.")
    identity = {
        "trainer": trainer.name,
        "precision": trainer.precision,
        "architecture": trainer.architecture.to_json(),
        "training": training.model_dump(mode="json", exclude={"checkpoint_every", "precision"}),
        "seed": seed,
        "plan_hash": plan_hash,
        "train_rows": loader.rows,
        "click_rate": click_rate,
        "logit_offset": trainer.logit_offset,
    }
    if started_from is not None:
        identity["started_from"] = started_from
    course = _Course.of(training, loader.rows)
    checkpoint = Checkpoint(out / "checkpoint", identity, trainer)
    position = checkpoint.restore()
    if position.step == 0 and click_rate is not None:
        trainer.start_at(math.log(click_rate / (1 - click_rate)) - trainer.logit_offset)
    report = progress or _ignore
    report(position.samples)
    while not course.ended(position):
        batches = loader.batches(Order(seed, position.epoch), skip=position.batch)
        with closing(batches):
            _run_epoch(trainer, batches, course.schedule, training, checkpoint, position, report)
        position.valid.append(trainer.evaluate(valid_files, every))
        position.epoch, position.batch = position.epoch + 1, 0
        checkpoint.save(position, best=course.best(position) == position.epoch - 1)
        if report_epoch is not None:
            report_epoch(position.epoch - 1, course.epochs(position)[-1])
    best = course.best(position)
    if best != position.epoch - 1:
        checkpoint.take_best()
    curve = loss_curve(position.losses)
    rows = loader if training.fit_bias else None
    shift = trainer.store_model(out / "model", plan_hash, rows)
    return TrainResult(
        steps=position.step,
        samples_per_second=position.samples / position.seconds,
        waiting_share=position.waiting_seconds / position.seconds,
        final_loss=_mean(position.losses[-FINAL_STEPS:]),
        loss_curve=curve,
        learning_rates=tuple(course.learning_rate(step) for step, _ in curve),
        epochs=course.epochs(position),
        best_epoch=best,
        bias_shift=shift,
    )


@dataclass(frozen=True, slots=True)
class _Course:
    """Decisions that follow from the settings and the position of training."""

    training: PlannedTraining
    steps: int
    """Steps per epoch."""
    schedule: Schedule

    @classmethod
    def of(cls, training: PlannedTraining, rows: int) -> _Course:
        steps = training.epoch_steps(rows)
        return cls(training, steps, Schedule.of(training, training.epochs * steps))

    def ended(self, position: Position) -> bool:
        if position.epoch == self.training.epochs:
            return True
        stopping = EarlyStopping(self.training.patience)
        return self.training.stops_early and stopping.ends(_log_losses(position))

    def best(self, position: Position) -> int:
        """Index of the finished epoch whose weights are kept."""
        if not self.training.stops_early:
            return position.epoch - 1
        return EarlyStopping.best(_log_losses(position))

    def learning_rate(self, step: int) -> float:
        """Learning rate of the dense layers in a step, counted from 1."""
        return self.training.learning_rate * self.schedule.factor(step - 1)

    def epochs(self, position: Position) -> tuple[Epoch, ...]:
        """The finished epochs."""
        return tuple(
            Epoch(
                train_loss=_mean(position.losses[end - self.steps : end]),
                valid=valid,
                learning_rate=self.learning_rate(end),
            )
            for valid, end in zip(
                position.valid, range(self.steps, position.step + 1, self.steps), strict=True
            )
        )


def _log_losses(position: Position) -> list[float]:
    return [metrics.logloss for metrics in position.valid]


def _every(clicks: int, rows: int) -> int:
    """n if one in n batches of the validation split is scored after an epoch.

    >>> [_every(200, 100_000), _every(80_000, 4_000_000), _every(2000, 100_000_000)]
    [1, 3, 2]
    """
    rarer = min(clicks, rows - clicks)
    return max(1, min(rows // VALID_ROWS, rarer // VALID_CLICKS))


def loss_curve(losses: Sequence[float]) -> tuple[tuple[int, float], ...]:
    """(step, mean loss since the previous point), at most 200 points.

    >>> loss_curve([0.5, 0.25])
    ((1, 0.5), (2, 0.25))
    """
    span = max(1, math.ceil(len(losses) / CURVE_POINTS))
    parts = [losses[start : start + span] for start in range(0, len(losses), span)]
    ends = accumulate(len(part) for part in parts)
    return tuple((end, _mean(part)) for end, part in zip(ends, parts, strict=True))


def _run_epoch(
    trainer: Trainer,
    batches: Iterator[Batch],
    schedule: Schedule,
    training: PlannedTraining,
    checkpoint: Checkpoint,
    position: Position,
    report: Callable[[int], None],
) -> None:
    """Train on the rest of an epoch's batches, and advance `position`."""
    pending: list[Tensor] = []
    since = time.perf_counter()
    for batch in _timed(batches, position):
        pending.append(trainer.step(batch, schedule.factor(position.step)))
        position.batch += 1
        position.step += 1
        position.samples += len(batch)
        checkpoint_due = position.step % training.checkpoint_every == 0
        if checkpoint_due or len(pending) == CHECK_EVERY:
            trainer.check()
            _book(pending, position)
        if checkpoint_due:
            position.seconds += time.perf_counter() - since
            checkpoint.save(position)
            since = time.perf_counter()
        report(len(batch))
    trainer.check()
    _book(pending, position)
    position.seconds += time.perf_counter() - since


def _timed(batches: Iterator[Batch], position: Position) -> Iterator[Batch]:
    """Yield the batches, and add the time to get each one to the waiting time."""
    while True:
        since = time.perf_counter()
        batch = next(batches, None)
        position.waiting_seconds += time.perf_counter() - since
        if batch is None:
            return
        yield batch


def _book(pending: list[Tensor], position: Position) -> None:
    """Move the pending losses to `position`; raises StageError if one is not finite."""
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


def _ignore(rows: int) -> None:
    """Discard progress."""
