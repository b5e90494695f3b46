"""A side of `benchmarks/processes.py`: alone, or as one of the processes that torchrun started.

    python -m benchmarks.processes_side WORK.json ROWS.parquet PRECISION

The first process prints JSON: milliseconds a step, and the mean loss of the timed steps.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import closing
from pathlib import Path

import torch

from benchmarks.train_work import Work
from plumbline.base.read_ahead import THREADS
from plumbline.dlrm.data.loader import DataLoader, Order
from plumbline.dlrm.data.parquet_loader import ParquetLoader
from plumbline.dlrm.ops.dtypes import Precision
from plumbline.dlrm.processes.place import Place, place
from plumbline.dlrm.train.fused_trainer import FusedTrainer
from plumbline.dlrm.train.memory import keep_freed_memory
from plumbline.dlrm.train.trainer import Trainer
from plumbline.dlrm.train.training_plan import PlannedTraining, planned
from plumbline.settings import Training


def measure(trainer: Trainer, loader: DataLoader, work: Work) -> dict[str, float]:
    """Train on all rows."""
    losses = []
    with closing(loader.batches(Order(seed=1, epoch=0))) as batches:
        for _ in range(work.warm_up):
            trainer.step(next(batches), 1.0)
        start = time.perf_counter()
        for batch in batches:
            losses.append(trainer.step(batch, 1.0))
        loss = float(torch.stack(losses).mean())
        seconds = time.perf_counter() - start
    return {"ms": 1000 * seconds / work.steps, "loss": loss}


def alone(work: Work, rows: Path, training: PlannedTraining) -> dict[str, float]:
    trainer = FusedTrainer(work.architecture, training, 1, "cpu")
    return measure(trainer, ParquetLoader([rows], work.architecture, work.batch_size), work)


def together(
    here: Place, work: Work, rows: Path, training: PlannedTraining, precision: Precision
) -> dict[str, float] | None:
    """The figures, in the first process."""
    from plumbline.dlrm.processes.group import joined
    from plumbline.dlrm.processes.job import memory_of
    from plumbline.dlrm.processes.sharded_trainer import ShardedTrainer
    from plumbline.dlrm.processes.sharding import kinds

    torch.set_num_threads(max(1, THREADS // here.local_count))
    keep_freed_memory()
    with joined(here) as group:
        group.open("cpu")
        memory = memory_of(group, "cpu")
        loader = ParquetLoader([rows], work.architecture, work.batch_size, group.member)
        trainer = ShardedTrainer(
            work.architecture, training, 1, precision, group, memory, kinds(training), work.steps
        )
        figures = measure(trainer, loader, work)
        return figures if group.leads else None


def main(work_file: str, rows_file: str, precision: Precision) -> None:
    work, rows, here = Work.read(Path(work_file)), Path(rows_file), place()
    if here is None and "RANK" in os.environ:  # torchrun has started one process
        here = Place(rank=0, count=1, local_rank=0, local_count=1)
    settings = {"precision": precision, "epochs": 1, "batch_size": work.batch_size}
    training = planned(Training.model_validate(settings), work.rows)
    if here is None:
        figures: dict[str, float] | None = alone(work, rows, training)
    else:
        figures = together(here, work, rows, training, precision)
    if figures is not None:
        sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    work_file, rows_file, given = sys.argv[1:]
    main(work_file, rows_file, "bf16" if given == "bf16" else "fp32")
