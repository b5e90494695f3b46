"""Train one model in all processes of a group: the first one has the work, as JSON for others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from plumbline.base.console import say
from plumbline.base.device import Device
from plumbline.base.read_ahead import THREADS
from plumbline.dlrm.data.parquet_loader import ParquetLoader
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.ops.cuda_products import sum_products_in_float32
from plumbline.dlrm.ops.dtypes import Precision
from plumbline.dlrm.ops.embedding.memory import available_memory
from plumbline.dlrm.processes.group import Group
from plumbline.dlrm.processes.quiet import quiet
from plumbline.dlrm.processes.sharded_trainer import ShardedTrainer
from plumbline.dlrm.processes.sharding import Kind, Memory, kinds
from plumbline.dlrm.train.memory import keep_freed_memory
from plumbline.dlrm.train.training import Epoch, TrainResult, train
from plumbline.dlrm.train.training_plan import PlannedTraining


@dataclass(frozen=True, slots=True)
class Job:
    """What the arguments of `plumbline.dlrm.train.training.train` are made from."""

    architecture: Architecture
    training: PlannedTraining
    precision: Precision
    """Not `auto`: a measurement might choose otherwise in another process."""
    seed: int
    device: Device
    train_files: tuple[Path, ...]
    valid_files: tuple[Path, ...]
    out: Path
    plan_hash: str
    click_rate: float | None
    logit_offset: float
    memory: Memory

    def to_text(self) -> str:
        return json.dumps(
            {
                "architecture": self.architecture.to_json(),
                "training": self.training.model_dump(mode="json"),
                "precision": self.precision,
                "seed": self.seed,
                "device": self.device,
                "train_files": [str(file.resolve()) for file in self.train_files],
                "valid_files": [str(file.resolve()) for file in self.valid_files],
                "out": str(self.out.resolve()),
                "plan_hash": self.plan_hash,
                "click_rate": self.click_rate,
                "logit_offset": self.logit_offset,
                "memory": [self.memory.host, self.memory.gpu],
            }
        )

    @classmethod
    def of_text(cls, text: str) -> Job:
        """The job that `to_text` described, in another process of the same command."""
        content = json.loads(text)
        return cls(
            architecture=Architecture.from_json(content.pop("architecture"), "the group's work"),
            training=PlannedTraining.model_validate(content.pop("training")),
            train_files=tuple(map(Path, content.pop("train_files"))),
            valid_files=tuple(map(Path, content.pop("valid_files"))),
            out=Path(content.pop("out")),
            memory=Memory(*content.pop("memory")),
            **content,
        )


def memory_of(group: Group, device: Device) -> Memory:
    """What each process of this machine may use: its share of the host's, and its GPU's."""
    gpu = torch.cuda.get_device_properties(0).total_memory if device == "cuda" else 0
    return Memory(available_memory() // group.place.local_count, gpu)


def train_in_group(
    group: Group,
    job: Job,
    progress: Callable[[int], None] | None = None,
    report_epoch: Callable[[int, Epoch], None] | None = None,
    allowed: Sequence[Kind] | None = None,
) -> TrainResult:
    """Train with all processes of an open group; every one calls this with an equal job.

    Parameters
    ----------
    progress, report_epoch
        See `train`.
    allowed
        The kinds of sharding that the planner chooses from; None means all that are right.

    Raises
    ------
    PlumblineError
        See `train` and `ShardedTrainer`.
    """
    training = job.training
    if job.device == "cuda":
        sum_products_in_float32()
    else:
        keep_freed_memory()
    with _share_of_cores(group), quiet():
        files, architecture = job.train_files, job.architecture
        loader = ParquetLoader(files, architecture, training.batch_size, group.member)
        trainer = ShardedTrainer(
            architecture,
            training,
            job.seed,
            job.precision,
            group,
            job.memory,
            kinds(training) if allowed is None else allowed,
            training.epoch_steps(loader.rows),
            job.logit_offset,
        )
        if group.leads:
            say(f"  {group.place.count} processes share the tables: {trainer.sharding}")
        return train(
            trainer,
            loader,
            training,
            seed=job.seed,
            valid_files=job.valid_files,
            out=job.out,
            plan_hash=job.plan_hash,
            click_rate=job.click_rate,
            progress=progress,
            report_epoch=report_epoch,
        )


def lead(
    group: Group,
    job: Job,
    progress: Callable[[int], None] | None = None,
    report_epoch: Callable[[int, Epoch], None] | None = None,
) -> TrainResult:
    """In the first process: give the others the job, and train with them."""
    group.give_work(job.to_text())
    group.open(job.device)
    return train_in_group(group, job, progress, report_epoch)


def follow(group: Group) -> None:
    """In another process: wait for the first one's job, and train with it."""
    text = group.wait_for_work()
    if text:
        job = Job.of_text(text)
        group.open(job.device)
        train_in_group(group, job)


@contextmanager
def _share_of_cores(group: Group) -> Iterator[None]:
    """The processes of one machine divide its cores among them while the block runs."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, THREADS // group.place.local_count))
    try:
        yield
    finally:
        torch.set_num_threads(threads)
