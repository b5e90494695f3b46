"""What a trainer does whose process holds the whole model: evaluate it, store and restore it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from plumbline.dlrm.data.loader import Batch, DataLoader
from plumbline.dlrm.metrics.metrics import Metrics
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.model.weights import save_model
from plumbline.dlrm.ops.dtypes import Precision
from plumbline.dlrm.score.evaluation import evaluate
from plumbline.dlrm.score.scorer import Scorer
from plumbline.dlrm.tensors.tensor_file import read_tensors, under, write_tensors
from plumbline.dlrm.train.output_bias import fit_output_bias

TRAINER = "trainer/"
"""Prefix of the trainer's tensors in a file with others."""


class WholeModelTrainer(ABC):
    """The part of `plumbline.dlrm.train.trainer.Trainer` that follows from model and state."""

    leads = True
    name: str
    precision: Precision
    logit_offset: float

    @abstractmethod
    def start_at(self, logit: float) -> None: ...

    @abstractmethod
    def step(self, batch: Batch, factor: float) -> Tensor: ...

    @abstractmethod
    def check(self) -> None: ...

    @abstractmethod
    def canonical(self) -> DLRM:
        """The model as stored."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Everything that later steps depend on, except the batches."""

    @abstractmethod
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state()` of an equal trainer returned."""

    @property
    def architecture(self) -> Architecture:
        return self.canonical().architecture

    def evaluate(self, files: Sequence[Path], every: int) -> Metrics:
        return evaluate(Scorer.of(self.canonical()), files, every=every)

    def store_model(self, folder: Path, plan_hash: str, rows: DataLoader | None) -> float:
        model = self.canonical()
        shift = 0.0 if rows is None else fit_output_bias(model, rows, self.logit_offset)
        save_model(folder, model, plan_hash)
        return shift

    def write_state(self, file: Path, others: Mapping[str, Tensor]) -> str:
        state = {TRAINER + name: tensor for name, tensor in self.state().items()}
        return write_tensors(file, {**state, **others})

    def read_state(self, file: Path, sha256: str) -> dict[str, Tensor]:
        tensors = read_tensors(file, sha256)
        self.load(under(TRAINER, tensors))
        return {n: tensor for n, tensor in tensors.items() if not n.startswith(TRAINER)}
