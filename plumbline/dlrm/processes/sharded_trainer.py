"""The trainer of a DLRM whose tables are sharded over several processes.

Every process steps on its share of the same batch: TorchRec exchanges ids and vectors and updates
the rows in the backward pass, and DistributedDataParallel averages the layers' gradients. A batch
has the same rows as with one process, so losses differ from `FusedTrainer`'s by rounding alone.
Checkpoints have the same content, so a run may go on with another number of processes.

NCCL, and FBGEMM's kernels for GPUs, have not run on a device.

Legend: B rows of this process, M rows with padding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from plumbline.dlrm.data.loader import Batch, DataLoader
from plumbline.dlrm.data.parquet_loader import ParquetLoader
from plumbline.dlrm.metrics.click_metrics import ClickMetrics
from plumbline.dlrm.metrics.metrics import Metrics
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.dropout import Dropout
from plumbline.dlrm.model.embedding_tables import drawn_rows
from plumbline.dlrm.model.model_card import CARD_FILE, WEIGHTS_FILE, write_model_card
from plumbline.dlrm.ops.dtypes import DTYPES, Precision
from plumbline.dlrm.processes.evaluation import merged
from plumbline.dlrm.processes.group import Group
from plumbline.dlrm.processes.sharded_model import ShardedModel, inputs_of
from plumbline.dlrm.processes.sharding import (
    Kind,
    Memory,
    accumulator_parts,
    plan_of,
    row_parts,
    unsharded,
)
from plumbline.dlrm.processes.shared_file import Parted, read_together, write_together
from plumbline.dlrm.processes.weights import Average, Weights
from plumbline.dlrm.score.evaluation import BATCH_SIZE
from plumbline.dlrm.tensors.tensor_file import under
from plumbline.dlrm.train.embedding_optimizer import STATE
from plumbline.dlrm.train.optimizers import dense_optimizer
from plumbline.dlrm.train.output_bias import shift_of
from plumbline.dlrm.train.precision import LossScale
from plumbline.dlrm.train.training_plan import PlannedTraining
from plumbline.dlrm.train.whole_model import TRAINER

_LIVE, _AVERAGE = "live/", "average/"
"""Prefixes of the state's names with averaged weights, as `AveragedTrainer` has them."""


class ShardedTrainer:
    """A `Trainer`; its initial weights are those that `DLRM` draws from the seed.

    Two runs with the same seed, batches and number of processes give equal bits.

    Parameters
    ----------
    epoch_steps
        Steps per epoch, for averaged weights.
    allowed
        The kinds of sharding that TorchRec's planner chooses from.

    Raises
    ------
    ConfigError
        The tables do not fit into the memory of all processes.
    """

    name = "fused"

    def __init__(
        self,
        architecture: Architecture,
        training: PlannedTraining,
        seed: int,
        precision: Precision,
        group: Group,
        memory: Memory,
        allowed: Sequence[Kind],
        epoch_steps: int,
        logit_offset: float = 0.0,
    ) -> None:
        self.architecture = architecture
        self.precision = precision
        self.logit_offset = logit_offset
        self.leads = group.leads
        self._group = group
        self._seed = seed
        self._dropout = training.dropout
        self._rate = training.embedding_learning_rate
        self._step = 0
        self._model = ShardedModel(architecture, unsharded(architecture))
        self._model.initialize_layers_(torch.Generator())  # for memory; the numbers come later
        sharding = plan_of(
            self._model, architecture, training, group.place, group.device, memory, allowed
        )
        self.sharding = str(sharding)
        self._parallel = sharding.apply(self._model, group)
        tables, optimizer = self._model.tables, self._parallel.fused_optimizer
        layers = {
            name: parameter
            for name, parameter in self._model.named_parameters()
            if not name.startswith("tables.")
        }
        self._weights = Weights(row_parts(architecture, tables.state_dict()), layers)
        self._accumulators: dict[str, Parted] = {}
        if training.embedding_optimizer == "rowwise_adagrad":
            self._accumulators[STATE] = accumulator_parts(architecture, optimizer.state_dict())
        self._draw(training.embedding_deviation)
        self._dense = dense_optimizer(layers, training, rate_in_memory=group.device.type == "cuda")
        self._average = Average(self._weights, epoch_steps) if training.averaging else None

    @torch.no_grad()
    def _draw(self, deviation: float) -> None:
        """Draw all rows, table by table, and keep those of this process; then the layers."""
        generator = torch.Generator().manual_seed(self._seed)
        begin = 0
        for rows in self.architecture.cardinalities:
            for drawn_ND in drawn_rows(rows, self.architecture.embedding_dim, generator, deviation):
                for part in self._weights.rows_RD.parts:
                    _copy_overlap(part.values, part.first, drawn_ND, begin)
                begin += len(drawn_ND)
        drawn = ShardedModel(self.architecture, torch.nn.Identity())
        drawn.initialize_layers_(generator)
        self._weights.load_layers(drawn.state_dict())

    @torch.no_grad()
    def start_at(self, logit: float) -> None:
        """See `plumbline.dlrm.train.trainer.Trainer`."""
        self._model.last.bias.fill_(logit)
        if self._average is not None:
            self._average.restart()

    def step(self, batch: Batch, factor: float) -> Tensor:
        """See `plumbline.dlrm.train.trainer.Trainer`; `batch` is a share, on the CPU."""
        rows = len(batch.click_B)
        inputs = inputs_of(self.architecture, batch, self._group.device)
        self._set_embedding_rate(factor * self._rate)  # the rows are updated in the backward pass
        logit_M = self._parallel(inputs, DTYPES[self.precision], self._dropout_of_step())
        click_B = batch.click_B.to(logit_M.device)
        loss = binary_cross_entropy_with_logits(
            logit_M[:rows] + self.logit_offset, click_B, reduction="sum"
        )
        loss = loss / len(batch)
        self._dense.zero_grad()
        (loss * self._group.place.count).backward()  # gradients are averaged over the processes
        self._dense.step(factor)
        self._step += 1
        if self._average is not None:
            with torch.no_grad():
                self._average.count_step()
        return self._group.sum_(loss.detach())

    def _set_embedding_rate(self, rate: float) -> None:
        optimizer = self._parallel.fused_optimizer
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()

    def _dropout_of_step(self) -> Dropout | None:
        """Every process draws its own."""
        if not self._dropout:
            return None
        seed = self._seed + self._group.place.rank
        return Dropout(self._dropout, seed, self._step, self._group.device)

    def check(self) -> None:
        """See `plumbline.dlrm.train.trainer.Trainer`; here every step raises for itself."""

    def evaluate(self, files: Sequence[Path], every: int) -> Metrics:
        """See `plumbline.dlrm.train.trainer.Trainer`; every process scores its share."""
        metrics = ClickMetrics()
        loader = ParquetLoader(files, self.architecture, BATCH_SIZE, self._group.member)
        with nullcontext() if self._average is None else self._average.in_place():
            for click_B, logit_B in self._scored(loader, every):
                metrics.add(click_B.numpy(), logit_B.sigmoid().numpy())
        return merged(metrics, self._group)

    @torch.no_grad()
    def _scored(self, loader: DataLoader, every: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
        """click_B and logit_B of this process' shares, float32, on the CPU."""
        with closing(loader.batches()) as batches:
            for batch in islice(batches, 0, None, every):
                inputs = inputs_of(self.architecture, batch, self._group.device)
                logit_M = self._model(inputs, torch.float32)
                yield batch.click_B, logit_M[: len(batch.click_B)].cpu()

    @torch.no_grad()
    def store_model(self, folder: Path, plan_hash: str, rows: DataLoader | None) -> float:
        """See `plumbline.dlrm.train.trainer.Trainer`; every process writes its rows."""
        with nullcontext() if self._average is None else self._average.in_place():
            shift = 0.0 if rows is None else self._fit_bias(rows)
            if self.leads:
                (folder / CARD_FILE).unlink(missing_ok=True)
            sha256 = write_together(
                folder / WEIGHTS_FILE,
                self._weights.parted(""),
                self._weights.whole(""),
                self._group,
            )
            if self.leads:
                write_model_card(folder, self.architecture, plan_hash, sha256)
        return shift

    def _fit_bias(self, rows: DataLoader) -> float:
        """Shift the output bias: see `plumbline.dlrm.train.output_bias.fit_output_bias`."""
        clicks, logits = zip(*self._scored(rows), strict=True)
        logit_B = torch.cat(self._group.gathered(torch.cat(logits))).numpy().astype(np.float64)
        click_B = torch.cat(self._group.gathered(torch.cat(clicks))).numpy()
        shift = shift_of(logit_B + self.logit_offset, float(click_B.sum()))
        self._model.last.bias.add_(shift)
        return shift

    def write_state(self, file: Path, others: Mapping[str, Tensor]) -> str:
        """See `plumbline.dlrm.train.trainer.Stored`."""
        return write_together(
            file, self._parted_state(), {**self._whole_state(), **others}, self._group
        )

    @property
    def _prefix(self) -> str:
        return TRAINER if self._average is None else TRAINER + _LIVE

    def _parted_state(self) -> dict[str, Parted]:
        prefix = self._prefix
        state = self._weights.parted(f"{prefix}parameter/")
        state |= {f"{prefix}embeddings/{name}": one for name, one in self._accumulators.items()}
        if self._average is not None:
            state |= self._average.mean.parted(TRAINER + _AVERAGE)
        return state

    def _whole_state(self) -> dict[str, Tensor]:
        prefix = self._prefix
        state = {
            **self._weights.whole(f"{prefix}parameter/"),
            **{f"{prefix}dense/{name}": tensor for name, tensor in self._dense.state().items()},
            f"{prefix}loss_scale": LossScale(self.precision).state(),
            f"{prefix}step": torch.tensor(self._step),
        }
        if self._average is not None:
            state |= self._average.mean.whole(TRAINER + _AVERAGE)
            state[f"{TRAINER}steps"] = torch.tensor(self._average.steps)
        return state

    @torch.no_grad()
    def read_state(self, file: Path, sha256: str) -> dict[str, Tensor]:
        """See `plumbline.dlrm.train.trainer.Stored`."""
        state = read_together(file, sha256, self._parted_state(), self._group)
        prefix = self._prefix
        self._weights.load_layers(under(f"{prefix}parameter/", state))
        self._dense.load(under(f"{prefix}dense/", state))
        self._step = int(state[f"{prefix}step"])
        if self._average is not None:
            self._average.mean.load_layers(under(TRAINER + _AVERAGE, state))
            self._average.steps = int(state[f"{TRAINER}steps"])
        return {name: tensor for name, tensor in state.items() if not name.startswith(TRAINER)}


def _copy_overlap(values: Tensor, first: tuple[int, ...], drawn_ND: Tensor, begin: int) -> None:
    """Copy to a part, which begins at `first`, what it has of whole rows from row `begin` on."""
    row, column = first
    low, high = max(row, begin), min(row + len(values), begin + len(drawn_ND))
    if low < high:
        columns = slice(column, column + values.shape[1])
        values[low - row : high - row].copy_(drawn_ND[low - begin : high - begin, columns])
