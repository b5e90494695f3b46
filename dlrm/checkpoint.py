"""Training's last checkpoint: weights, optimizer state and position, whole or not there.

    checkpoint/checkpoint.json       identity of the run, position, metrics, name and hash of …
    checkpoint/step-N.safetensors    … the form's state, and the loss of every step

The JSON is replaced last; until then the older checkpoint holds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from dlrm.metrics import Metrics
from dlrm.tensor_file import read_tensors, under, write_tensors
from features.errors import StageError
from features.files import write_json
from features.manifest import differences

FORMAT_VERSION = 2
CHECKPOINT_FILE = "checkpoint.json"


@dataclass(slots=True)
class Position:
    """How far training has come."""

    epoch: int = 0
    batch: int = 0
    """Batches of this epoch that are done."""
    step: int = 0
    """Batches of all epochs that are done."""
    samples: int = 0
    seconds: float = 0.0
    """Spent on steps: not on validation and checkpoints."""
    waiting_seconds: float = 0.0
    """Those of them that were spent waiting for batches."""
    valid: list[Metrics] = field(default_factory=list)
    """Metrics of the validation split after each finished epoch."""
    losses: list[float] = field(default_factory=list)
    """Mean loss of every step's batch."""


class Stateful(Protocol):
    """What can be taken up again from named tensors."""

    def state(self) -> dict[str, Tensor]: ...

    def load(self, state: Mapping[str, Tensor]) -> None: ...


class Checkpoint:
    """The checkpoint of one run in one folder.

    Parameters
    ----------
    identity
        All that the run's result depends on, in JSON form.
    form
        What is saved and restored.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], form: Stateful) -> None:
        self._folder = folder
        self._identity = identity
        self._form = form

    def save(self, position: Position) -> None:
        tensors = {f"form/{name}": tensor for name, tensor in self._form.state().items()}
        tensors["losses"] = torch.tensor(position.losses, dtype=torch.float32)
        file = self._folder / f"step-{position.step}.safetensors"
        content = {
            "format_version": FORMAT_VERSION,
            "identity": self._identity,
            "position": {k: v for k, v in asdict(position).items() if k != "losses"},
            "tensors": {"file": file.name, "sha256": write_tensors(file, tensors)},
        }
        write_json(self._folder / CHECKPOINT_FILE, content)
        for other in self._folder.glob("step-*.safetensors*"):
            if other != file:
                other.unlink()

    def restore(self) -> Position:
        """Put the saved state in place, where there is one; else the position is the beginning.

        Raises
        ------
        StageError
            The checkpoint is of a run with other settings or data, or is not readable.
        ModelError
            Its tensors are missing or changed.
        """
        file = self._folder / CHECKPOINT_FILE
        if not file.is_file():
            return Position()
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            version, identity = int(content["format_version"]), dict(content["identity"])
            valid = [Metrics(**metrics) for metrics in content["position"].pop("valid")]
            position = Position(**content["position"], valid=valid)
            name, sha256 = str(content["tensors"]["file"]), str(content["tensors"]["sha256"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StageError(
                f"{file}: not a training checkpoint ({type(error).__name__} {error}). "
                "Run the train stage again with --force."
            ) from None
        changed = differences(
            {"format_version": version, **identity},
            {"format_version": FORMAT_VERSION, **self._identity},
        )
        if changed:
            raise StageError(
                f"{file}: the checkpoint is of a run with other settings ({'; '.join(changed)}). "
                "Go back to those, or run the train stage again with --force."
            )
        tensors = read_tensors(self._folder / Path(name).name, sha256)
        position.losses = tensors["losses"].tolist()
        self._form.load(under("form/", tensors))
        return position
