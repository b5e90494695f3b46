"""The fast trainer of a DLRM: mixed precision, native kernels, and a fused embedding update.

A step gathers the embedding vectors, runs forward and backward through the layers by autograd down
to the vectors, makes one pass that sums the gradients of each touched row and applies the embedding
optimizer, and steps the dense layers' optimizer, which also has the weights of lists' positions.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from plumbline.base.device import Device
from plumbline.dlrm.data.loader import Batch
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.model.dropout import Dropout
from plumbline.dlrm.ops.dtypes import DTYPES
from plumbline.dlrm.tensors.tensor_file import under
from plumbline.dlrm.train.device import prepare
from plumbline.dlrm.train.embedding_optimizer import EmbeddingOptimizer
from plumbline.dlrm.train.optimizers import dense_optimizer
from plumbline.dlrm.train.precision import LossScale, training_precision
from plumbline.dlrm.train.training_plan import PlannedTraining
from plumbline.dlrm.train.whole_model import WholeModelTrainer


class FusedTrainer(WholeModelTrainer):
    """A DLRM in training; its initial weights are those that `DLRM` draws from the seed.

    Two runs with the same seed and batches give equal bits. The embedding pass gives equal bits for
    any number of threads; torch's matrix products may not.

    Parameters
    ----------
    logit_offset
        Added to the logits in the loss only; see `plumbline.dlrm.train.trainer.Trainer`.
    """

    name = "fused"

    def __init__(
        self,
        architecture: Architecture,
        training: PlannedTraining,
        seed: int,
        device: Device,
        logit_offset: float = 0.0,
    ) -> None:
        prepare(device, architecture)
        self.precision = training_precision(training.precision, device)
        self.model = DLRM(architecture, seed, training.embedding_deviation).to(device)
        parameters = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        self._dense = dense_optimizer(parameters, training, rate_in_memory=device == "cuda")
        self._parameters = list(parameters.values())
        self._embeddings = EmbeddingOptimizer(self.model.tables, training.embedding_optimizer, seed)
        self._embedding_learning_rate = training.embedding_learning_rate
        self._loss_scale = LossScale(self.precision)
        self._dropout = training.dropout
        self._seed = seed
        self._step = 0
        self.logit_offset = logit_offset

    @torch.no_grad()
    def start_at(self, logit: float) -> None:
        """See `plumbline.dlrm.train.trainer.Trainer`."""
        self.model.last.bias.fill_(logit)

    def step(self, batch: Batch, factor: float) -> Tensor:
        """Train on a batch at `factor` times the learning rates.

        Returns the batch's mean loss before the step, a scalar that stays on the device.
        """
        dtype = DTYPES[self.precision]
        vector_BVD = self.model.tables(batch.ids_BF, batch.bags, dtype).requires_grad_()
        logit_B = self.model.logits(vector_BVD, batch.dense_BC, self._dropout_of_step())
        loss = binary_cross_entropy_with_logits(logit_B + self.logit_offset, batch.click_B)
        self._dense.zero_grad()
        scale = self._loss_scale.value
        (loss * scale).backward()
        self._take_position_gradients(batch, vector_BVD.grad)
        self._apply(batch, vector_BVD.grad, factor, scale)
        self._step += 1
        return loss.detach()

    def _dropout_of_step(self) -> Dropout | None:
        if not self._dropout:
            return None
        return Dropout(self._dropout, self._seed, self._step, self.model.last.weight.device)

    def _take_position_gradients(self, batch: Batch, gradient_BVD: Tensor | None) -> None:
        if gradient_BVD is None:
            return
        tables = self.model.tables
        gradients = tables.position_gradients(batch.ids_BF, batch.bags, gradient_BVD)
        for weights_P, gradient_P in zip(tables.position_weights, gradients, strict=True):
            weights_P.grad = gradient_P

    def _apply(
        self, batch: Batch, gradient_BVD: Tensor | None, factor: float, scale: float
    ) -> None:
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        vectors = [] if gradient_BVD is None else [gradient_BVD]
        if not self._loss_scale.accepts([*gradients, *vectors]):
            return
        if scale != 1.0:
            torch._foreach_mul_(gradients, 1 / scale)
        # Before the dense step: the rows' gradients have this step's weights of the positions.
        if gradient_BVD is not None:
            self._embeddings.step(
                batch.ids_BF,
                batch.bags,
                gradient_BVD,
                learning_rate=factor * self._embedding_learning_rate,
                step=self._step,
                scale=1 / scale,
            )
        faults = self._embeddings.faults
        self._dense.step(factor, skip=None if faults is None else faults.seen)

    def check(self) -> None:
        """See `plumbline.dlrm.train.trainer.Trainer`."""
        self._embeddings.check()

    def canonical(self) -> DLRM:
        """The model as stored; shares the weights' memory."""
        return self.model

    def state(self) -> dict[str, Tensor]:
        """Everything that later steps depend on, except the batches."""
        return {
            **{f"parameter/{name}": tensor for name, tensor in self.model.state_dict().items()},
            **{f"dense/{name}": tensor for name, tensor in self._dense.state().items()},
            **{f"embeddings/{name}": tensor for name, tensor in self._embeddings.state().items()},
            "loss_scale": self._loss_scale.state(),
            "step": torch.tensor(self._step),
        }

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state()` of an equal trainer returned."""
        for name, tensor in self.model.state_dict().items():
            tensor.copy_(state[f"parameter/{name}"])
        self._dense.load(under("dense/", state))
        self._embeddings.load(under("embeddings/", state))
        self._loss_scale.load(state["loss_scale"])
        self._step = int(state["step"])
