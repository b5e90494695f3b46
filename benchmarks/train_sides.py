"""The sides of the training benchmark, each run in its own process.

    python -m benchmarks.train_sides SIDE WORK.json ROWS.parquet

Every side gets the same encoded rows from the same loader, in the same order, and updates all its
parameters by plain SGD; the loss is read after the last step. The process prints JSON: milliseconds
per step, the share of time spent waiting for the loader, the mean loss of the timed steps, page
faults per step, the share of memory in large pages, the peak resident memory, and whether our
native kernels were available. The side `PRODUCTS` reads no rows and has no loss.

Legend: B rows, I inputs of a layer, O outputs.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from benchmarks.harness import OURS
from benchmarks.train_torch import SeparateTables, TorchTrainer
from benchmarks.train_work import LEARNING_RATE, Work, layer_widths, set_first_weights
from plumbline.dlrm.data.loader import Batch, Order
from plumbline.dlrm.data.parquet_loader import ParquetLoader
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.ops.library import cpu_module
from plumbline.dlrm.train.fused_trainer import FusedTrainer
from plumbline.dlrm.train.memory import keep_freed_memory
from plumbline.dlrm.train.training_plan import planned
from plumbline.settings import Training

OURS_BF16_ROWS = "ours, bf16 rows"
EAGER_FP32, EAGER_BF16 = "torch eager fp32", "torch eager bf16"
COMPILED, COMPILED_KEPT = "torch.compile bf16", "torch.compile bf16, freed memory kept"
TORCHREC = "TorchRec with FBGEMM, bf16"
PRODUCTS = "bf16 matrix products alone"


class SideTrainer(Protocol):
    """A model in training."""

    def step(self, batch: Batch) -> Tensor:
        """Train on a batch; returns its mean loss before the step, a scalar."""


class Ours:
    """The fused trainer at constant learning rates."""

    def __init__(self, architecture: Architecture, precision: str = "bf16") -> None:
        settings = {
            "precision": precision,
            "optimizer": "sgd",
            "embedding_optimizer": "sgd",
            "learning_rate": LEARNING_RATE,
            "embedding_learning_rate": LEARNING_RATE,
        }
        self.trainer = FusedTrainer(
            architecture, planned(Training.model_validate(settings), 1), 1, "cpu"
        )
        model = self.trainer.model
        tables = map(model.tables.table, range(len(architecture.categorical)))
        set_first_weights(architecture, model, tables)

    def step(self, batch: Batch) -> Tensor:
        return self.trainer.step(batch, 1.0)


def ours_with_bf16_rows(architecture: Architecture) -> SideTrainer:
    return Ours(replace(architecture, embedding_rows="bf16"))


def torch_trainer(
    *, bf16: bool, compiled: bool = False, keep_memory: bool = False
) -> Callable[[Architecture], SideTrainer]:
    def make(architecture: Architecture) -> SideTrainer:
        if keep_memory:
            keep_freed_memory()
        return TorchTrainer(
            architecture, SeparateTables(architecture), bf16=bf16, compiled=compiled
        )

    return make


def torchrec(architecture: Architecture) -> SideTrainer:
    """Its dense layers are compiled, which is faster than eager on the article's model."""
    from benchmarks.train_torchrec import TorchRecTables

    return TorchTrainer(architecture, TorchRecTables(architecture), bf16=True, compiled=True)


TRAINERS: dict[str, Callable[[Architecture], SideTrainer]] = {
    OURS: Ours,
    OURS_BF16_ROWS: ours_with_bf16_rows,
    EAGER_FP32: torch_trainer(bf16=False),
    EAGER_BF16: torch_trainer(bf16=True),
    COMPILED: torch_trainer(bf16=True, compiled=True),
    COMPILED_KEPT: torch_trainer(bf16=True, compiled=True, keep_memory=True),
    TORCHREC: torchrec,
}


def measure(trainer: SideTrainer, work: Work, file: Path) -> dict[str, float]:
    """Train on all rows of the file."""
    losses, waited = [], 0.0
    loader = ParquetLoader([file], work.architecture, work.batch_size)
    with closing(loader.batches(Order(seed=1, epoch=0))) as batches:
        for _ in range(work.warm_up):
            trainer.step(next(batches))
        faults, start = _faults(), time.perf_counter()
        for _ in range(work.steps):
            asked = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - asked
            losses.append(trainer.step(batch))
        loss = float(torch.stack(losses).mean())
        seconds = time.perf_counter() - start
        faults = _faults() - faults
    return {
        "ms": 1000 * seconds / work.steps,
        "waiting": waited / seconds,
        "loss": loss,
        "faults": faults / work.steps,
        "large_pages": _large_pages(),
    }


def _faults() -> int:
    """Page faults of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_minflt + usage.ru_majflt


def _large_pages() -> float:
    """Share of this process' resident memory that is in large pages; Linux only."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8").splitlines()[1:]
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return kilobytes["AnonHugePages"] / kilobytes["Rss"]


def measure_products(work: Work) -> dict[str, float]:
    """Only the matrix products of a step: forward, and the gradients of weights and inputs.

    Freed memory is kept, as in our trainer, because oneDNN allocates memory for some products.
    """
    keep_freed_memory()
    products = list(_products(work))
    for _ in range(work.warm_up):
        for product in products:
            product()
    start = time.perf_counter()
    for _ in range(work.steps):
        for product in products:
            product()
    return {"ms": 1000 * (time.perf_counter() - start) / work.steps}


def _products(work: Work) -> Iterator[Callable[[], object]]:
    """The products of each layer, into preallocated memory."""
    for position, (before, after) in enumerate(layer_widths(work.architecture)):
        x_BI, weight_OI, gradient_BO = (
            torch.randn(shape).bfloat16()
            for shape in ((work.batch_size, before), (after, before), (work.batch_size, after))
        )
        y_BO, weight_gradient_OI = torch.empty_like(gradient_BO), torch.empty_like(weight_OI)
        yield partial(torch.mm, x_BI, weight_OI.T, out=y_BO)
        yield partial(torch.mm, gradient_BO.T, x_BI, out=weight_gradient_OI)
        if position > 0:  # the input floats need no gradient
            yield partial(torch.mm, gradient_BO, weight_OI, out=torch.empty_like(x_BI))


def main(side: str, work_file: str, rows_file: str) -> None:
    work = Work.read(Path(work_file))
    if side == PRODUCTS:
        figures: dict[str, Any] = measure_products(work)
    else:
        figures = measure(TRAINERS[side](work.architecture), work, Path(rows_file))
    figures["native"] = cpu_module() is not None
    figures["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
