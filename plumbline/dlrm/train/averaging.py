"""The mean of the weights over the last steps: smoother than the weights themselves.

After the n-th update, counted from 0, the average is a ← d·a + (1 − d)·w with
d = (1 + n) / (5 + n). It spans about the last quarter of all steps so far, so it needs no window
length. Small tables are trained in few noisy steps; the average removes that noise, as a learning
rate that decays to zero does, but after every epoch rather than only after the last.

Polyak and Juditsky 1992, "Acceleration of Stochastic Approximation by Averaging".
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from plumbline.dlrm.data.loader import Batch
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.tensors.tensor_file import under
from plumbline.dlrm.train.training_plan import PlannedTraining
from plumbline.dlrm.train.whole_model import WholeModelTrainer

UPDATES = 50
"""Approximate number of updates per epoch; each passes over all weights, table rows included."""

WARM_UP = 5


def between(epoch_steps: int) -> int:
    """Steps between two updates."""
    return max(1, epoch_steps // UPDATES)


def newest_share(updates: int) -> float:
    """The share of the newest weights in the average, after this number of updates: 1 - d."""
    return 1 - (1 + updates) / (WARM_UP + updates)


def averaged(trainer: WholeModelTrainer, training: PlannedTraining, rows: int) -> WholeModelTrainer:
    """The trainer, with averaged weights if the settings say so, for this number of rows."""
    if not training.averaging:
        return trainer
    return AveragedTrainer(trainer, training.epoch_steps(rows))


class AveragedTrainer(WholeModelTrainer):
    """A trainer whose canonical model has the averaged weights.

    The average is float32 for any precision of the rows. Its state includes the wrapped trainer's.

    Parameters
    ----------
    epoch_steps
        Steps per epoch.
    """

    def __init__(self, trainer: WholeModelTrainer, epoch_steps: int) -> None:
        self._trainer = trainer
        self._between = between(epoch_steps)
        self.name = trainer.name
        self.precision = trainer.precision
        self.logit_offset = trainer.logit_offset
        self._average = self._weights()
        self._step = 0

    @property
    def architecture(self) -> Architecture:
        return self._trainer.architecture

    def start_at(self, logit: float) -> None:
        """See `plumbline.dlrm.train.trainer.Trainer`."""
        self._trainer.start_at(logit)
        self._average = self._weights()

    @torch.no_grad()
    def step(self, batch: Batch, factor: float) -> Tensor:
        """See `plumbline.dlrm.train.trainer.Trainer`."""
        with torch.enable_grad():
            loss = self._trainer.step(batch, factor)
        self._step += 1
        if self._step % self._between == 0:
            share = newest_share(self._step // self._between - 1)
            for name, weight in self._trainer.canonical().state_dict().items():
                self._average[name].lerp_(weight.float(), share)
        return loss

    def check(self) -> None:
        """See `plumbline.dlrm.train.trainer.Trainer`."""
        self._trainer.check()

    def canonical(self) -> DLRM:
        """A model of the averaged weights; shares the memory of those of the model's precision."""
        live = self._trainer.canonical()
        state = live.state_dict()
        return DLRM.of_weights(
            live.architecture,
            {name: average.to(state[name].dtype) for name, average in self._average.items()},
        )

    def state(self) -> dict[str, Tensor]:
        """The wrapped trainer's state, the average, and the number of steps."""
        return {
            **{f"live/{name}": tensor for name, tensor in self._trainer.state().items()},
            **{f"average/{name}": tensor for name, tensor in self._average.items()},
            "steps": torch.tensor(self._step),
        }

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state()` of an equal trainer returned."""
        self._trainer.load(under("live/", state))
        for name, tensor in under("average/", state).items():
            self._average[name].copy_(tensor)
        self._step = int(state["steps"])

    def _weights(self) -> dict[str, Tensor]:
        """Float32 copies of the current weights."""
        return {
            name: tensor.detach().to(torch.float32, copy=True)
            for name, tensor in self._trainer.canonical().state_dict().items()
        }
