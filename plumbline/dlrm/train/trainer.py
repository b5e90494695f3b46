"""What the training loop trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from plumbline.dlrm.data.loader import Batch
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.ops.dtypes import Precision


class Stateful(Protocol):
    """What can be resumed from named tensors."""

    def state(self) -> dict[str, Tensor]: ...

    def load(self, state: Mapping[str, Tensor]) -> None: ...


class Trainer(Stateful, Protocol):
    """A model in training, with its optimizers. Its state is all that a later step depends on."""

    name: str
    precision: Precision
    logit_offset: float
    """Added to each logit in the loss alone. Where a share s of the rows without a click is trained
    on, and all with one, it is -ln(s): so the model's own logit stands for all rows."""

    def start_at(self, logit: float) -> None:
        """Set the output's bias: the first logits are near it."""
        ...

    def step(self, batch: Batch, factor: float) -> Tensor:
        """Train on a batch at `factor` times the learning rates; the mean loss, on the device."""
        ...

    def canonical(self) -> DLRM:
        """The model as it is stored."""
        ...
