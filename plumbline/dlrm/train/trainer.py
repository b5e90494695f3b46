"""The interface between the training loop and a trainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from torch import Tensor

from plumbline.dlrm.data.loader import Batch, DataLoader
from plumbline.dlrm.metrics.metrics import Metrics
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.ops.dtypes import Precision


class Stored(Protocol):
    """What a checkpoint stores. Several processes call its methods together."""

    leads: bool
    """Whether this process writes what all of them have in common. True if there is only one."""

    def write_state(self, file: Path, others: Mapping[str, Tensor]) -> str:
        """Write everything that later steps depend on, and `others`; returns the file's SHA-256.

        The file is written under another name and renamed when it is complete.
        """
        ...

    def read_state(self, file: Path, sha256: str) -> dict[str, Tensor]:
        """Restore what `write_state` wrote; returns the others.

        Raises
        ------
        ModelError
            The file is missing, changed or malformed.
        """
        ...


class Trainer(Stored, Protocol):
    """A model in training, with its optimizers."""

    name: str
    precision: Precision
    logit_offset: float
    """Added to each logit in the loss only. If training uses all rows with a click and a share s of
    those without, it is -ln(s), so the model's own logit is calibrated for all rows."""

    @property
    def architecture(self) -> Architecture: ...

    def start_at(self, logit: float) -> None:
        """Set the output bias, which the first logits are near."""
        ...

    def step(self, batch: Batch, factor: float) -> Tensor:
        """Train on a batch at `factor` times the learning rates; returns the mean loss before the
        step, on the device."""
        ...

    def check(self) -> None:
        """Raise ModelError for a wrong id in an earlier step, if steps do not raise themselves.

        Waits for the device. From the step with that id on, no weight has changed.
        """
        ...

    def evaluate(self, files: Sequence[Path], every: int) -> Metrics:
        """Metrics of the model as stored; see `plumbline.dlrm.score.evaluation.evaluate`."""
        ...

    def store_model(self, folder: Path, plan_hash: str, rows: DataLoader | None) -> float:
        """Write the model to `folder`, after the last step.

        Parameters
        ----------
        rows
            Shift the output bias first, to the click rate of these rows; see
            `plumbline.dlrm.train.output_bias`. None shifts nothing.

        Returns
        -------
        The shift.
        """
        ...
