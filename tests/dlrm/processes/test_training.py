"""Several processes train the model that one trains, whatever the sharding, and go on from each
other's checkpoints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from plumbline.dlrm.data.parquet_loader import ParquetLoader
from plumbline.dlrm.model.model_card import read_model_card
from plumbline.dlrm.model.weights import load_model
from plumbline.dlrm.score.evaluation import evaluate
from plumbline.dlrm.score.scorer import Scorer
from plumbline.dlrm.tensors.tensor_file import write_tensors
from plumbline.dlrm.train.averaging import averaged
from plumbline.dlrm.train.fused_trainer import FusedTrainer
from plumbline.dlrm.train.training import TrainResult, train
from plumbline.dlrm.train.training_plan import PlannedTraining
from tests.conftest import ROOT
from tests.dlrm.processes.together import CutOff, cut_after

pytest.importorskip("torchrec", reason="TorchRec is not installed: make env DISTRIBUTED=1")

from plumbline.dlrm.processes.job import Job
from plumbline.dlrm.processes.sharding import Memory

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]

BOUND = 1e-5
"""Largest difference between the losses of one process and two, in fp32."""

SETTINGS = PlannedTraining(
    epochs=6,
    batch_size=32,
    learning_rate=5e-3,
    embedding_learning_rate=5e-2,
    checkpoint_every=100,
    precision="fp32",
    averaging=False,
    fit_bias=False,
    early_stopping=False,
)
SGD = SETTINGS.model_copy(update={"embedding_optimizer": "sgd", "embedding_learning_rate": 0.5})
STEPS = 6 * 37  # 1,155 rows are 37 batches of 32
EVERYTHING = SETTINGS.model_copy(
    update={"averaging": True, "fit_bias": True, "early_stopping": True, "clip_norm": 0.5}
)
UNEVEN = SETTINGS.model_copy(update={"epochs": 2, "batch_size": 29})
"""551 rows are 19 batches of 29, and 552 have a batch of one row more."""


@dataclass(frozen=True)
class Case:
    world: Any
    training: PlannedTraining = SETTINGS
    allowed: tuple[str, ...] | None = None
    cut: int | None = None
    files: int | None = None
    """Number of training files."""
    out: str = ""
    """The folder; empty for the case's own."""


def job_of(case: Case, out: Path) -> Job:
    return Job(
        architecture=case.world.architecture,
        training=case.training,
        precision="fp32" if case.training.precision == "auto" else case.training.precision,
        seed=1,
        device="cpu",
        train_files=tuple(case.world.train_files[: case.files]),
        valid_files=tuple(case.world.valid_files),
        out=out,
        plan_hash=case.world.plan.content_hash,
        click_rate=0.3,
        logit_offset=0.25,
        memory=Memory(1 << 30, 0),
    )


def train_alone(job: Job, cut: int | None = None) -> TrainResult:
    torch.set_num_threads(1)
    loader = ParquetLoader(job.train_files, job.architecture, job.training.batch_size)
    trainer = FusedTrainer(job.architecture, job.training, job.seed, "cpu", job.logit_offset)
    return train(
        averaged(trainer, job.training, loader.rows),
        loader,
        job.training,
        seed=job.seed,
        valid_files=job.valid_files,
        out=job.out,
        plan_hash=job.plan_hash,
        click_rate=job.click_rate,
        progress=cut_after(cut),
    )


class Workplace:
    """A folder of jobs, and their results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def out(self, name: str, case: Case) -> Path:
        return self.folder / (case.out or name)

    def train_together(self, cases: dict[str, Case], processes: int = 2) -> str:
        """Train all cases in one start of the processes; returns what was printed."""
        jobs = self.folder / f"jobs {len(list(self.folder.iterdir()))}"
        jobs.mkdir()
        for number, (name, case) in enumerate(cases.items()):
            asked = {
                "job": job_of(case, self.out(name, case)).to_text(),
                "allowed": case.allowed,
                "cut_after": case.cut,
            }
            (jobs / f"{number:02} {name}.json").write_text(json.dumps(asked))
        done = subprocess.run(
            [
                *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
                *("--nproc-per-node", str(processes), "-m", "tests.dlrm.processes.together", jobs),
            ],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        for number, name in enumerate(cases):
            result = jobs / f"{number:02} {name}.result"
            if result.exists():
                result.rename(self.folder / f"{name}.result")
        return done.stderr

    def result(self, name: str) -> dict[str, Any]:
        return json.loads((self.folder / f"{name}.result").read_text())

    def losses(self, name: str) -> np.ndarray:
        return losses_in(self.folder / name)

    def weights(self, name: str) -> dict[str, torch.Tensor]:
        return load_file(self.folder / name / "model" / "model.safetensors")

    def file(self, name: str) -> bytes:
        return (self.folder / name / "model" / "model.safetensors").read_bytes()


def losses_in(out: Path) -> np.ndarray:
    """The loss of every step, from the last checkpoint."""
    written = json.loads((out / "checkpoint" / "checkpoint.json").read_text())["tensors"]["file"]
    return load_file(out / "checkpoint" / written)["losses"].numpy()


def cases_of(world: Any, list_world: Any) -> dict[str, Case]:
    sums = replace(list_world, architecture=replace(list_world.architecture, bag="sum"))
    short = SETTINGS.model_copy(update={"epochs": 1})
    bf16 = short.model_copy(update={"precision": "bf16"})
    return {
        "planned": Case(world),
        "table": Case(world, allowed=("table_wise",)),
        "row": Case(world, allowed=("row_wise",)),
        "row again": Case(world, allowed=("row_wise",)),
        "table sgd": Case(world, SGD, ("table_wise",)),
        "row sgd": Case(world, SGD, ("row_wise",)),
        "column sgd": Case(world, SGD, ("column_wise",)),
        "everything": Case(world, EVERYTHING, ("row_wise",)),
        "means": Case(list_world, short, ("row_wise",)),
        "sums": Case(sums, short, ("table_wise",)),
        "bf16": Case(world, bf16),
        "uneven": Case(world, UNEVEN, ("row_wise",), files=3),
        "cut": Case(world, EVERYTHING, cut=1155 + 15 * 32),
        "resumed by columns": Case(world, SGD, ("column_wise",), out="cut of sgd"),
        "resumed from one": Case(world, EVERYTHING, ("row_wise",), out="cut of one"),
    }


@pytest.fixture(scope="module")
def wide_world(world):
    """With vectors wide enough for shards of columns."""
    architecture = replace(world.architecture, embedding_dim=8, bottom_mlp=(8, 8))
    return replace(world, architecture=architecture)


@pytest.fixture(scope="module")
def place(wide_world, list_world, tmp_path_factory) -> Workplace:
    """All cases, trained by two processes; and some that one process has begun."""
    workplace = Workplace(tmp_path_factory.mktemp("two processes"))
    cases = cases_of(wide_world, list_world)
    for name in ("resumed by columns", "resumed from one"):
        case = cases[name]
        with pytest.raises(CutOff):
            train_alone(job_of(case, workplace.out(name, case)), cut=1155 + 15 * 32)
    log = workplace.train_together(cases)
    for kind in ("table-wise", "row-wise", "column-wise"):
        assert f"2 processes share the tables: 5 {kind}" in log
    return workplace


@pytest.fixture(scope="module")
def alone(wide_world, list_world, tmp_path_factory) -> Callable[[str], tuple[TrainResult, Path]]:
    """The same case trained by one process."""
    folder = tmp_path_factory.mktemp("one process")
    cases = cases_of(wide_world, list_world)
    done: dict[str, tuple[TrainResult, Path]] = {}

    def trained(name: str) -> tuple[TrainResult, Path]:
        if name not in done:
            done[name] = train_alone(job_of(cases[name], folder / name)), folder / name
        return done[name]

    return trained


SAME: Sequence[tuple[str, str]] = [
    ("planned", "planned"),
    ("table", "planned"),
    ("row", "planned"),
    ("table sgd", "table sgd"),
    ("row sgd", "table sgd"),
    ("column sgd", "table sgd"),
    ("everything", "everything"),
    ("means", "means"),
    ("sums", "sums"),
    ("uneven", "uneven"),
]


@pytest.mark.parametrize(("together", "one"), SAME, ids=[name for name, _ in SAME])
def test_two_processes_give_the_losses_of_one(place, alone, together, one):
    wanted, folder = alone(one)
    losses = losses_in(folder)
    assert len(losses) == len(place.losses(together))
    assert np.abs(place.losses(together) - losses).max() <= BOUND
    result = place.result(together)
    assert result["steps"] == wanted.steps
    for got, epoch in zip(result["epochs"], wanted.epochs, strict=True):
        assert got["valid"]["rows"] == epoch.valid.rows
        for key in ("auc", "logloss", "calibration"):
            assert got["valid"][key] == pytest.approx(getattr(epoch.valid, key), abs=1e-3)
    assert result["bias_shift"] == pytest.approx(wanted.bias_shift, abs=1e-3)
    assert result["best_epoch"] == wanted.best_epoch


def test_two_hundred_steps_are_compared(place):
    assert len(place.losses("planned")) == STEPS > 200


def test_the_stored_model_is_that_of_one_process(place, alone, wide_world):
    _, folder = alone("everything")
    wanted = load_file(folder / "model" / "model.safetensors")
    got = place.weights("everything")
    assert list(got) == list(wanted)
    for name, tensor in wanted.items():
        assert torch.allclose(got[name], tensor, atol=2e-3), name
    card = read_model_card(place.folder / "everything" / "model")
    assert card.plan_hash == wide_world.plan.content_hash


def test_the_file_is_the_one_that_a_whole_model_is_written_to(place, tmp_path):
    for name in ("table", "row", "column sgd"):
        model = load_model(place.folder / name / "model")
        write_tensors(tmp_path / "model.safetensors", model.state_dict())
        assert (tmp_path / "model.safetensors").read_bytes() == place.file(name)


def test_metrics_are_those_of_the_stored_model(place, wide_world):
    last = place.result("row")["epochs"][-1]["valid"]
    stored = Scorer.load(place.folder / "row" / "model", wide_world.plan.content_hash)
    metrics = evaluate(stored, wide_world.valid_files)
    assert last["auc"] == pytest.approx(metrics.auc, abs=1e-4)
    assert last["logloss"] == pytest.approx(metrics.logloss, abs=1e-6)


def test_two_runs_of_two_processes_are_equal_to_the_bit(place):
    assert place.file("row") == place.file("row again")
    assert (place.losses("row") == place.losses("row again")).all()


def test_bfloat16_layers_give_about_the_same(place, alone):
    _, folder = alone("bf16")
    assert np.abs(place.losses("bf16") - losses_in(folder)).max() < 0.05


def test_a_process_without_a_row_waits_for_nothing(place):
    result = place.result("uneven")
    assert result["steps"] == 2 * 20  # the last batch of each epoch has one row


def test_two_processes_go_on_where_one_was_cut_off(place, alone):
    wanted, folder = alone("everything")
    assert place.result("resumed from one")["best_epoch"] == wanted.best_epoch
    assert np.abs(place.losses("cut of one") - losses_in(folder)).max() <= BOUND


def test_rows_are_sharded_anew_by_columns(place, alone):
    _, folder = alone("table sgd")
    assert np.abs(place.losses("cut of sgd") - losses_in(folder)).max() <= BOUND


def test_one_process_goes_on_where_two_were_cut_off(place, alone, wide_world, list_world):
    _, folder = alone("everything")
    case = cases_of(wide_world, list_world)["cut"]
    train_alone(job_of(case, place.folder / "cut"))
    assert np.abs(losses_in(place.folder / "cut") - losses_in(folder)).max() <= BOUND


def test_three_processes_share_tables_of_five_rows(wide_world, alone, tmp_path):
    _, folder = alone("planned")
    workplace = Workplace(tmp_path)
    workplace.train_together({"three": Case(wide_world, allowed=("row_wise",))}, processes=3)
    assert np.abs(workplace.losses("three") - losses_in(folder)).max() <= BOUND
