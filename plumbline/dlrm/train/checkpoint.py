"""The last checkpoint of a training run: weights, optimizer state and position, written atomically.

    checkpoint/checkpoint.json       identity of the run, position, metrics, names and hashes of …
    checkpoint/step-N.safetensors    … the trainer's state, and the loss of every step
    checkpoint/step-M.safetensors    … the same after the best epoch, if that was an earlier one

The JSON is replaced last; until then the older checkpoint is valid. The files do not depend on the
number of processes that train, so another number can go on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from plumbline.base.errors import StageError
from plumbline.base.manifest import differences
from plumbline.base.sealed_json import read_sealed, write_sealed
from plumbline.dlrm.metrics.metrics import Metrics
from plumbline.dlrm.train.trainer import Stored

FORMAT_VERSION = 5
"""5: with the hash of its own content."""
CHECKPOINT_FILE = "checkpoint.json"
LOSSES = "losses"
"""Name of the losses of all steps, float32, beside the trainer's tensors."""


@dataclass(slots=True)
class Position:
    """Progress of the training run."""

    epoch: int = 0
    batch: int = 0
    """Batches done in this epoch."""
    step: int = 0
    """Batches done in all epochs."""
    samples: int = 0
    seconds: float = 0.0
    """Time spent on steps, without validation and checkpoints."""
    waiting_seconds: float = 0.0
    """The part of `seconds` spent waiting for batches."""
    valid: list[Metrics] = field(default_factory=list)
    """Metrics of the validation split after each finished epoch."""
    losses: list[float] = field(default_factory=list)
    """Mean loss of every step's batch."""


class Checkpoint:
    """The checkpoint of one run in one folder.

    Parameters
    ----------
    identity
        Everything that the run's result depends on, as JSON values.
    trainer
        The trainer whose state is saved and restored.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], trainer: Stored) -> None:
        self._folder = folder
        self._identity = identity
        self._trainer = trainer
        self._best: dict[str, str] | None = None

    def save(self, position: Position, *, best: bool = False) -> None:
        """Write the trainer's state and the position; `best` keeps them until the next best."""
        losses = torch.tensor(position.losses, dtype=torch.float32)
        file = self._folder / f"step-{position.step}.safetensors"
        sha256 = self._trainer.write_state(file, {LOSSES: losses})
        written = {"file": file.name, "sha256": sha256}
        if best:
            self._best = written
        if not self._trainer.leads:
            return
        content = {
            "format_version": FORMAT_VERSION,
            "identity": self._identity,
            "position": {k: v for k, v in asdict(position).items() if k != "losses"},
            "tensors": written,
            "best": self._best,
        }
        write_sealed(self._folder / CHECKPOINT_FILE, content)
        kept = {file.name} if self._best is None else {file.name, self._best["file"]}
        for other in self._folder.glob("step-*.safetensors*"):
            if other.name not in kept:
                other.unlink()

    def take_best(self) -> None:
        """Load the state that was saved as the best; raises ModelError as `restore` does."""
        if self._best is None:
            raise StageError(
                f"{self._folder}: holds no best epoch. Run the train stage again with --force."
            )
        self._read(self._best)

    def restore(self) -> Position:
        """Load the saved state, if any, and return its position; otherwise the initial position.

        Raises
        ------
        StageError
            The checkpoint is from a run with other settings or data, or is not readable.
        ModelError
            Its tensors are missing or changed.
        """
        file = self._folder / CHECKPOINT_FILE
        if not os.path.lexists(file):
            return Position()
        try:
            content = read_sealed(file, FORMAT_VERSION)
        except ValueError as error:
            raise StageError(
                f"{file}: not a training checkpoint: {error}. Run the train stage again with "
                "--force."
            ) from None
        changed = differences(content["identity"], self._identity)
        if changed:
            raise StageError(
                f"{file}: the checkpoint is from a run with other settings ({'; '.join(changed)}). "
                "Go back to those, or run the train stage again with --force."
            )
        valid = [Metrics(**metrics) for metrics in content["position"].pop("valid")]
        position = Position(**content["position"], valid=valid)
        last, self._best = content["tensors"], content["best"]
        position.losses = self._read(last)[LOSSES].tolist()
        return position

    def _read(self, written: Mapping[str, str]) -> dict[str, Tensor]:
        file = self._folder / Path(written["file"]).name
        return self._trainer.read_state(file, written["sha256"])
