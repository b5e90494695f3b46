"""The interface between the training loop and a trainer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from plumbline.dlrm.data.loader import Batch
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.ops.dtypes import Precision


class Stateful(Protocol):
    """An object that can be saved to and restored from named tensors."""

    def state(self) -> dict[str, Tensor]: ...

    def load(self, state: Mapping[str, Tensor]) -> None: ...


class Trainer(Stateful, Protocol):
    """A model in training, with its optimizers. Its state is everything later steps depend on."""

    name: str
    precision: Precision
    logit_offset: float
    """Added to each logit in the loss only. If training uses all rows with a click and a share s of
    those without, it is -ln(s), so the model's own logit is calibrated for all rows."""

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

    def canonical(self) -> DLRM:
        """The model as stored."""
        ...
