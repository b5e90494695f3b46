"""Stage train: train the DLRM on the encoded rows; resumes from the last checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plumbline.base.console import progress_bar, say, warn
from plumbline.dlrm.judgement.proportion import proportion_warnings
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.train.training_plan import PlannedTraining, planned
from plumbline.features.plan.plan import Plan, read_plan
from plumbline.stages.finished import Finished
from plumbline.stages.run import PARENT, Run
from plumbline.stages.stage import Stage, StageResult, parts

if TYPE_CHECKING:
    from plumbline.dlrm.data.loader import DataLoader
    from plumbline.dlrm.ops.dtypes import Precision
    from plumbline.dlrm.processes.group import Group
    from plumbline.dlrm.train.growth import Start
    from plumbline.dlrm.train.training import Epoch, TrainResult
    from plumbline.dlrm.train.whole_model import WholeModelTrainer


def settings(run: Run) -> dict[str, Any]:
    chosen = run.config.model_dump(mode="json", include={"model", "training", "seed"})
    return {**chosen, "trainer": run.model}


def work(run: Run, inputs: Mapping[str, Finished], out: Path) -> StageResult:
    from plumbline.dlrm.score.evaluation import clicks_of
    from plumbline.stages.day_training import start_of, training_files

    etl, config = inputs["etl"], run.config
    plan = read_plan(etl.path("plan"))
    architecture = Architecture.of(plan, config.model)
    earlier_rows = etl.manifest.facts.get("older_rows", 0)
    warnings = proportion_warnings(architecture, etl.manifest.rows["train"] + earlier_rows)
    for text in warnings:
        warn(text)
    files = training_files(etl)
    clicks, rows = clicks_of(files)
    training = planned(config.training, rows, clicks)
    say(f"  {_described(training, rows)}")
    material = _Material(
        plan=plan,
        architecture=architecture,
        training=training,
        train_files=files,
        valid_files=parts(etl.path("valid")),
        click_rate=(clicks + 0.5) / (rows + 1),
        logit_offset=math.log(1.0 / etl.manifest.facts["keep_negatives"]),
        start=None if run.parent is None else start_of(inputs, plan, architecture),
    )
    with progress_bar("training", rows * training.epochs) as progress:
        if run.group is None:
            precision, trained = _train_alone(run, material, out, progress)
        else:
            precision, trained = _train_in_group(run, run.group, material, out, progress)
    if training.stops_early:
        say(
            f"  kept: epoch {trained.best_epoch + 1} of {len(trained.epochs)}, the one with the "
            "best validation log loss",
        )
    say(
        f"  {trained.samples_per_second:,.0f} samples/s in {precision}, "
        f"{trained.waiting_share:.1%} of the time waiting for data"
    )
    facts = {
        "model": run.model,
        "precision": precision,
        "processes": 1 if run.group is None else run.group.place.count,
        "samples_per_second": round(trained.samples_per_second),
        "waiting_share": round(trained.waiting_share, 4),
        "steps": trained.steps,
        "planned": training.model_dump(mode="json"),
        "best_epoch": trained.best_epoch + 1,
        "bias_shift": trained.bias_shift,
        "final_loss": trained.final_loss,
        "loss_curve": trained.loss_curve,
        "learning_rates": trained.learning_rates,
        "epochs": [asdict(epoch) for epoch in trained.epochs],
        "warnings": warnings,
    }
    return StageResult({"train": rows}, facts=facts)


@dataclass(frozen=True, slots=True)
class _Material:
    """What a model is trained from, in one process or several."""

    plan: Plan
    architecture: Architecture
    training: PlannedTraining
    train_files: Sequence[Path]
    valid_files: Sequence[Path]
    click_rate: float
    logit_offset: float
    start: Start | None
    """The model and optimizers that an appended day goes on from, in one process alone."""


def _train_alone(
    run: Run, material: _Material, out: Path, progress: Callable[[int], None]
) -> tuple[Precision, TrainResult]:
    from plumbline.dlrm.tensors.tensor_file import write_tensors
    from plumbline.dlrm.train.growth import optimizer_state
    from plumbline.dlrm.train.optimizer_file import OPTIMIZER_FILE
    from plumbline.dlrm.train.training import train

    plan, architecture, training = material.plan, material.architecture, material.training
    start, offset = material.start, material.logit_offset
    loader = loader_of(run, plan, architecture, material.train_files, training.batch_size)
    trainer = trainer_of(run, plan, architecture, training, loader.rows, offset, start)
    trained = train(
        trainer,
        loader,
        training,
        seed=run.config.seed,
        valid_files=material.valid_files,
        out=out,
        plan_hash=plan.content_hash,
        click_rate=material.click_rate if start is None else None,
        started_from=None if start is None else start.model_hash,
        progress=progress,
        report_epoch=_print_epoch,
    )
    write_tensors(out / OPTIMIZER_FILE, optimizer_state(trainer))
    return trainer.precision, trained


def _train_in_group(
    run: Run, group: Group, material: _Material, out: Path, progress: Callable[[int], None]
) -> tuple[Precision, TrainResult]:
    from plumbline.dlrm.processes.job import Job, lead, memory_of
    from plumbline.dlrm.train.precision import training_precision

    job = Job(
        architecture=material.architecture,
        training=material.training,
        precision=training_precision(material.training.precision, run.device),
        seed=run.config.seed,
        device=run.device,
        train_files=tuple(material.train_files),
        valid_files=tuple(material.valid_files),
        out=out,
        plan_hash=material.plan.content_hash,
        click_rate=material.click_rate,
        logit_offset=material.logit_offset,
        memory=memory_of(group, run.device),
    )
    return job.precision, lead(group, job, progress, _print_epoch)


def _described(training: PlannedTraining, rows: int) -> str:
    epochs = "1 epoch" if training.epochs == 1 else f"{training.epochs} epochs"
    if training.stops_early:
        epochs = f"up to {epochs}"
    return (
        f"{rows:,} rows: batches of {training.batch_size:,}, {epochs}, learning rates "
        f"{training.learning_rate:g} (layers) and {training.embedding_learning_rate:g} (embeddings)"
    )


def _print_epoch(index: int, epoch: Epoch) -> None:
    say(
        f"  epoch {index + 1}: training loss {epoch.train_loss:.4f}, validation log loss "
        f"{epoch.valid.logloss:.4f}, AUC {epoch.valid.auc:.4f}, "
        f"learning rate {epoch.learning_rate:.2g}",
    )


def trainer_of(
    run: Run,
    plan: Plan,
    architecture: Architecture,
    training: PlannedTraining,
    rows: int,
    logit_offset: float = 0.0,
    start: Start | None = None,
) -> WholeModelTrainer:
    """The trainer of one process, for this number of training rows."""
    from plumbline.dlrm.train.averaging import averaged

    trainer = _new_trainer(run, plan, architecture, training, logit_offset)
    if start is not None:
        trainer.load(start.state)
    return averaged(trainer, training, rows)


def _new_trainer(
    run: Run,
    plan: Plan,
    architecture: Architecture,
    training: PlannedTraining,
    logit_offset: float,
) -> WholeModelTrainer:
    seed, device = run.config.seed, run.device
    if run.model == "fused":
        from plumbline.dlrm.train.fused_trainer import FusedTrainer

        return FusedTrainer(architecture, training, seed, device, logit_offset)
    # Merlin takes seconds to import.
    from plumbline.dlrm.train.merlin_trainer import MerlinTrainer
    from plumbline.nvtabular.merlin_data import merlin_schema

    return MerlinTrainer(architecture, training, seed, device, merlin_schema(plan), logit_offset)


def loader_of(
    run: Run, plan: Plan, architecture: Architecture, files: Sequence[Path], batch_size: int
) -> DataLoader:
    """Our own data loader; on a GPU, where cuDF imports, the Merlin one, which decodes there."""
    if run.engine_device == "cuda":
        from plumbline.dlrm.data.merlin_loader import MerlinLoader
        from plumbline.nvtabular.merlin_data import merlin_dataset

        dataset = merlin_dataset(files, plan, run.engine_device)
        return MerlinLoader(dataset, architecture, batch_size, run.device)
    from plumbline.dlrm.data.parquet_loader import ParquetLoader

    loader = ParquetLoader(files, architecture, batch_size)
    if run.device == "cpu":
        return loader
    from plumbline.dlrm.data.device_loader import DeviceLoader
    from plumbline.dlrm.data.transfer import CudaTransfer

    return DeviceLoader(loader, CudaTransfer())


def validation_of(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The validation metrics after each epoch, from the stage's facts."""
    return [epoch["valid"] for epoch in facts["epochs"]]


def needs(run: Run) -> tuple[str, ...]:
    return ("etl",) if run.parent is None else ("etl", f"{PARENT}etl", f"{PARENT}train")


STAGE = Stage("train", needs, settings, work, resumes_from=("checkpoint",))
