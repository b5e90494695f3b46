"""Merlin's DLRM in training: torch's own layers and sparse gradients, in float32."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from plumbline.base.device import Device
from plumbline.base.errors import ConfigError
from plumbline.dlrm.data.loader import Batch
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.ops.dtypes import Precision
from plumbline.dlrm.tensors.tensor_file import under
from plumbline.dlrm.train.device import prepare
from plumbline.dlrm.train.merlin_model import (
    build_merlin,
    load_canonical,
    to_canonical,
    without_merlin_warnings,
)
from plumbline.dlrm.train.optimizers import dense_optimizer, sparse_optimizer
from plumbline.dlrm.train.training_plan import PlannedTraining
from plumbline.dlrm.train.whole_model import WholeModelTrainer


class MerlinTrainer(WholeModelTrainer):
    """A Merlin DLRM in training; its initial weights are those that `DLRM` draws from the seed.

    Raises ConfigError for settings that Merlin's DLRM does not support.
    """

    name = "merlin"
    precision: Precision = "fp32"

    def __init__(
        self,
        architecture: Architecture,
        training: PlannedTraining,
        seed: int,
        device: Device,
        schema: Any,
        logit_offset: float = 0.0,
    ) -> None:
        if training.precision not in ("auto", "fp32"):
            raise ConfigError(
                f"training.precision {training.precision}: Merlin's DLRM trains in fp32. "
                "Use --model fused, or auto."
            )
        if training.dropout:
            raise ConfigError(
                f"training.dropout {training.dropout:g}: Merlin's DLRM has no dropout. "
                "Use --model fused, or 0."
            )
        if device == "cuda":
            prepare(device, architecture)
        deviation = training.embedding_deviation
        self._model = build_merlin(architecture, schema, seed, deviation).to(device).train()
        self._optimizers = {"dense": dense_optimizer(self._model.dense_parameters(), training)}
        if architecture.categorical:
            tables = self._model.table_parameters()
            self._optimizers["embeddings"] = sparse_optimizer(tables, training)
        self.logit_offset = logit_offset

    @torch.no_grad()
    def start_at(self, logit: float) -> None:
        """See `plumbline.dlrm.train.trainer.Trainer`."""
        self._model.dense_parameters()["last.bias"].fill_(logit)

    @without_merlin_warnings()
    def step(self, batch: Batch, factor: float) -> Tensor:
        """See `plumbline.dlrm.train.trainer.Trainer`."""
        logit_B = self._model(batch.ids_BF, batch.dense_BC, batch.bags)
        loss = binary_cross_entropy_with_logits(logit_B + self.logit_offset, batch.click_B)
        for optimizer in self._optimizers.values():
            optimizer.zero_grad()
        loss.backward()
        for optimizer in self._optimizers.values():
            optimizer.step(factor)
        return loss.detach()

    def check(self) -> None:
        """See `plumbline.dlrm.train.trainer.Trainer`; here every step raises for itself."""

    def canonical(self) -> DLRM:
        """The same model as a `DLRM`, on the same device; the tables are a copy."""
        return DLRM.of_weights(self._model.architecture, to_canonical(self._model))

    def state(self) -> dict[str, Tensor]:
        """Weights by their names in `DLRM`, and the optimizers' state."""
        state = {f"parameter/{name}": value for name, value in to_canonical(self._model).items()}
        for kind, optimizer in self._optimizers.items():
            state |= {f"{kind}/{name}": value for name, value in optimizer.state().items()}
        return state

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state()` of an equal trainer returned."""
        load_canonical(self._model, under("parameter/", state))
        for kind, optimizer in self._optimizers.items():
            optimizer.load(under(f"{kind}/", state))
