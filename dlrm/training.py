"""The training loop: the Merlin form of the model, fed by the Merlin dataloader.

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
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from dlrm.architecture import Architecture
from dlrm.checkpoint import Checkpoint, Position
from dlrm.evaluation import check_outcomes_of, evaluate
from dlrm.feed import Batch, Order
from dlrm.merlin import MerlinDLRM, build_merlin, quiet, to_canonical
from dlrm.merlin_feed import MerlinFeed
from dlrm.metrics import Metrics
from dlrm.model import DLRM
from dlrm.optimizers import Optimizers
from dlrm.scorer import Scorer
from dlrm.weights import save_model
from features.device import Device
from features.errors import StageError

if TYPE_CHECKING:
    from features.settings import Training

CHECK_EVERY = 20
"""Steps between two looks at the loss, each of which waits for the device."""

FINAL_STEPS = 100
CURVE_POINTS = 200


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What training found out."""

    steps: int
    samples_per_second: float
    """Over the time spent on steps and loading: not on validation and checkpoints."""
    final_loss: float
    """Mean of the last 100 steps' losses."""
    loss_curve: tuple[tuple[int, float], ...]
    """(step, mean loss of the steps since the point before), at most 200 points."""
    valid: tuple[Metrics, ...]
    """Metrics of the validation split after each epoch."""


@quiet()
def train(
    architecture: Architecture,
    training: Training,
    *,
    seed: int,
    device: Device,
    schema: Any,
    make_dataset: Callable[[Sequence[Path]], Any],
    train_files: Sequence[Path],
    valid_files: Sequence[Path],
    out: Path,
    plan_hash: str,
    progress: Callable[[int], None] | None = None,
) -> TrainResult:
    """Train a DLRM and write it to `out/model`; goes on from `out/checkpoint` where there is one.

    The weights are those after the last epoch: the validation metrics stop nothing.

    Parameters
    ----------
    schema
        `merlin.schema.Schema` of the encoded columns, see `build_merlin`.
    make_dataset
        Makes a `merlin.io.Dataset`, with that schema, of encoded Parquet files.
    plan_hash
        Content hash of the plan that encoded them; kept with the model.
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
    model = build_merlin(architecture, schema, seed).to(device)
    parameters = model.canonical_parameters()
    optimizers = Optimizers(parameters, training)
    feed = MerlinFeed(make_dataset(train_files), architecture, training.batch_size, device)
    rows = feed.rows
    identity = {
        "form": "merlin",
        "architecture": architecture.to_json(),
        "training": training.model_dump(mode="json", exclude={"checkpoint_every"}),
        "seed": seed,
        "plan_hash": plan_hash,
        "train_files": [file.name for file in train_files],
        "train_rows": rows,
    }
    if rows == 0:
        raise StageError("Training: the training split has no rows. Run ingest on more data.")
    checkpoint = Checkpoint(out / "checkpoint", identity, parameters, optimizers)
    position = checkpoint.restore()
    tell = progress or _nobody
    tell(position.samples)
    while position.epoch < training.epochs:
        with closing(feed.batches(Order(seed, position.epoch), position.batch)) as batches:
            _run_epoch(model, optimizers, batches, rows, training, checkpoint, position, tell)
        position.valid.append(evaluate(Scorer(_canonical(model)), valid_files))
        position.epoch, position.batch = position.epoch + 1, 0
        checkpoint.save(position)
    save_model(out / "model", _canonical(model), plan_hash)
    return TrainResult(
        steps=position.step,
        samples_per_second=position.samples / position.seconds,
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
    model: MerlinDLRM,
    optimizers: Optimizers,
    batches: Iterator[Batch],
    rows: int,
    training: Training,
    checkpoint: Checkpoint,
    position: Position,
    tell: Callable[[int], None],
) -> None:
    """Train on the rest of an epoch of `rows` rows, and move `position` along."""
    model.train()
    steps = training.epochs * math.ceil(rows / training.batch_size)
    pending: list[Tensor] = []
    since = time.perf_counter()
    for batch in batches:
        pending.append(_step(model, optimizers, batch, position.step / steps))
        position.batch += 1
        position.step += 1
        position.samples += len(batch)
        checkpoint_due = position.step % training.checkpoint_every == 0
        if checkpoint_due or len(pending) == CHECK_EVERY:
            _book(pending, position)
        if checkpoint_due:
            position.seconds += time.perf_counter() - since
            checkpoint.save(position)
            since = time.perf_counter()
        tell(len(batch))
    _book(pending, position)
    position.seconds += time.perf_counter() - since


def _step(model: MerlinDLRM, optimizers: Optimizers, batch: Batch, share_done: float) -> Tensor:
    """One step; the batch's mean loss, a scalar that stays on the device."""
    logit_B = model(batch.ids_BF, batch.dense_BC, batch.bags)
    loss = binary_cross_entropy_with_logits(logit_B, batch.click_B)
    optimizers.zero_grad()
    loss.backward()
    optimizers.step(share_done)
    return loss.detach()


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


def _canonical(model: MerlinDLRM) -> DLRM:
    """The same model in canonical form, on the same device; it shares the weights' memory."""
    canonical = DLRM(model.architecture, seed=None)
    canonical.load_state_dict(to_canonical(model), assign=True)
    return canonical


def _mean(losses: Sequence[float]) -> float:
    return math.fsum(losses) / len(losses)


def _nobody(rows: int) -> None:
    """Progress that nobody wants to see."""
