"""`--nproc` and torchrun: a stage trained by two processes, killed, and gone on with."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from plumbline.base.manifest import Manifest
from plumbline.dlrm.processes import requirements
from plumbline.dlrm.processes.place import place
from plumbline.dlrm.train.optimizer_file import OPTIMIZER_FILE
from tests.conftest import ROOT, Command

pytestmark = pytest.mark.timeout(900)

LONG = 400
"""Seconds until a command must have ended, on a busy machine."""

TINY: dict[str, Any] = {
    "name": "tiny",
    "click_model": {"rows": 6000, "days": 3, "vocabulary": [40, 300, 5], "continuous": 2},
    "log": {
        "separator": "\t",
        "header": False,
        "columns": {"label": "label", "I1..I2": "continuous", "C1..C3": "hex"},
    },
    "split": {"by": "file", "valid": [1], "test": [2]},
    "workflow": {"graph": "criteo", "options": {"frequency_threshold": 2}},
    "model": {"embedding_dim": 4, "bottom_mlp": [8, 4], "top_mlp": [8]},
    "training": {"batch_size": 64, "epochs": 2, "precision": "fp32"},
}
KILLED = {"epochs": 30, "early_stopping": False, "checkpoint_every": 20}
"""Training that goes on for seconds after its first checkpoint."""

has_torchrec = pytest.mark.skipif(
    bool(requirements.missing_packages()),
    reason="TorchRec is not installed: make env DISTRIBUTED=1",
)


def config_in(folder: Path, **training: Any) -> Path:
    file = folder / "tiny.yaml"
    chosen = {**TINY, "training": {**TINY["training"], **training}}
    file.write_text(yaml.safe_dump(chosen, sort_keys=False))
    return file


def run(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that is encoded, and not trained."""
    folder = tmp_path_factory.mktemp("encoded")
    script = ROOT / "pipelines" / "run_all.py"
    done = run(folder, script, "--config", config_in(folder), "--to", "etl")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def workplace(encoded: Path, tmp_path: Path) -> Path:
    """A copy of it, to train in."""
    shutil.copytree(encoded, tmp_path / "run")
    return tmp_path / "run"


def train(folder: Path, *words: object, **training: Any) -> subprocess.CompletedProcess[str]:
    script = ROOT / "pipelines" / "train.py"
    return run(folder, script, "--config", config_in(folder, **training), *words)


def manifest(folder: Path) -> Manifest:
    return Manifest.read(folder / "runs" / "tiny" / "train")


@has_torchrec
def test_two_processes_train_what_one_does_and_the_next_stage_goes_on(
    workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (temporary := tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    one = train(workplace, "--nproc", 1)
    assert one.returncode == 0, one.stderr
    wanted = manifest(workplace)
    assert wanted.facts["processes"] == 1
    two = train(workplace, "--nproc", 2, "--force")
    assert two.returncode == 0, two.stderr
    got = manifest(workplace)
    assert got.facts["processes"] == 2
    assert got.settings == wanted.settings
    assert got.files.keys() == {"model/model.json", "model/model.safetensors"}
    assert wanted.files.keys() == got.files.keys() | {OPTIMIZER_FILE}
    assert got.facts["final_loss"] == pytest.approx(wanted.facts["final_loss"], abs=1e-5)
    assert "2 processes share the tables" in two.stderr
    assert "warning" not in two.stderr.lower() and "rank" not in two.stderr
    words = ("--config", workplace / "tiny.yaml", "--to", "export", "--nproc", 2)
    rest = run(workplace, "-m", "plumbline", "run", *words)
    assert rest.returncode == 0, rest.stderr
    assert "train: complete, skipped" in rest.stderr
    assert not list(temporary.glob("torchelastic*"))


@pytest.mark.slow
@has_torchrec
def test_torchrun_starts_it_too(workplace: Path) -> None:
    done = run(
        workplace,
        *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2),
        *(ROOT / "pipelines" / "train.py", "--config", config_in(workplace)),
    )
    assert done.returncode == 0, done.stderr
    assert manifest(workplace).facts["processes"] == 2


@contextmanager
def started(folder: Path, **training: Any) -> Iterator[subprocess.Popen[str]]:
    """Training with two processes, which has written a checkpoint."""
    script = str(ROOT / "pipelines" / "train.py")
    words = ["--config", str(config_in(folder, **training)), "--nproc", "2"]
    with subprocess.Popen(
        [sys.executable, script, *words], cwd=folder, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            checkpoint = folder / "runs" / "tiny" / "train" / "checkpoint" / "checkpoint.json"
            wait_until(checkpoint.exists, process)
            yield process
        finally:
            process.kill()


def wait_until(is_so: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + LONG
    while not is_so():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.05)


def ranks(process: subprocess.Popen[str]) -> dict[int, psutil.Process]:
    """The processes that train, by their rank."""
    children = psutil.Process(process.pid).children(recursive=True)
    return {int(c.environ()["RANK"]): c for c in children if "RANK" in c.environ()}


def ended(processes: dict[int, psutil.Process]) -> bool:
    gone, alive = psutil.wait_procs(list(processes.values()), timeout=60)
    return not alive and bool(gone)


@pytest.mark.slow
@has_torchrec
@pytest.mark.parametrize(("killed", "processes"), [(1, 1), (0, 2)])
def test_a_killed_process_ends_the_others_and_the_next_run_goes_on(
    workplace: Path, killed: int, processes: int
) -> None:
    with started(workplace, **KILLED) as process:
        training = ranks(process)
        assert training.keys() == {0, 1}
        training[killed].kill()
        _, stderr = process.communicate(timeout=LONG)
        assert process.returncode == 2
        errors = [line for line in stderr.splitlines() if line.startswith("error: ")]
        assert errors == [
            f"error: process {killed} of 2 was ended by signal 9 (SIGKILL), and so the others were "
            "too. Run again: training goes on from its last checkpoint."
        ]
        assert "Traceback" not in stderr
        assert ended(training)
    folder = workplace / "runs" / "tiny" / "train"
    step = json.loads((folder / "checkpoint" / "checkpoint.json").read_text())["position"]["step"]
    assert step >= 20
    done = train(workplace, "--nproc", processes, **KILLED | {"checkpoint_every": 100_000})
    assert done.returncode == 0, done.stderr
    assert manifest(workplace).facts["processes"] == processes


@pytest.mark.slow
@has_torchrec
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_stopped_launcher_takes_the_processes_with_it(workplace: Path, sign: int) -> None:
    with started(workplace, **KILLED) as process:
        training = ranks(process)
        process.send_signal(sign)
        _, stderr = process.communicate(timeout=LONG)
        assert ended(training)
        assert "Traceback" not in stderr
        if sign == signal.SIGINT:
            assert process.returncode == 130
            last = stderr.splitlines()[-1]
            assert last.startswith("interrupted: complete stages stay; it goes on with: python ")
            assert last.endswith(" --nproc 2")


@pytest.mark.slow
@has_torchrec
def test_an_error_of_all_processes_is_one_line(workplace: Path) -> None:
    with started(workplace, **KILLED) as process:
        training = ranks(process)
        process.kill()
        assert ended(training)
    other = KILLED | {"learning_rate": 0.5}
    done = train(workplace, "--nproc", 2, **other)
    assert done.returncode == 2
    assert done.stderr.count("error: ") == 1
    assert "the checkpoint is from a run with other settings" in done.stderr


@pytest.mark.parametrize(
    ("section", "key", "value", "words", "named"),
    [
        ("model", "embedding_rows", "bf16", (), "model.embedding_rows: bf16"),
        ("model", "bag", "max", (), "model.bag: max"),
        ("model", "bag", "position_weighted", (), "model.bag: position_weighted"),
        ("training", "precision", "fp16", (), "training.precision: fp16"),
        ("training", "epochs", 2, ("--model", "merlin"), "--model merlin"),
    ],
)
def test_what_only_one_process_can_do_is_refused_by_name(
    command: Command, tmp_path: Path, section: str, key: str, value: Any, words: Any, named: str
) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump({**TINY, section: {**TINY[section], key: value}}))
    for script in ("train", "run_all"):
        done = command(f"pipelines/{script}.py", "--config", file, "--nproc", 2, *words)
        assert done.returncode == 2
        assert f"error: {named}: not done on several processes" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_width_that_fbgemm_has_not_is_refused(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "tiny.yaml"
    model = {"embedding_dim": 6, "bottom_mlp": [8, 6], "top_mlp": [8]}
    file.write_text(yaml.safe_dump({**TINY, "model": model}))
    done = command("pipelines/train.py", "--config", file, "--nproc", 2)
    assert done.returncode == 2
    assert "model.embedding_dim: on several processes wanted a multiple of 4, got 6" in done.stderr


def test_without_torchrec_it_is_said_what_to_install(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requirements, "find_spec", lambda name: None)
    done = command("pipelines/train.py", "--config", config_in(tmp_path), "--nproc", 2)
    assert done.returncode == 2
    assert done.stderr == (
        "error: training on 2 processes: wanted TorchRec and FBGEMM, but torchrec and fbgemm_gpu "
        "cannot be imported. Install them with make env DISTRIBUTED=1, or train in one process.\n"
    )


def test_another_number_than_torchruns_is_refused(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "3"), ("LOCAL_RANK", "0")):
        monkeypatch.setenv(name, value)
    done = command("pipelines/train.py", "--config", config_in(tmp_path), "--nproc", 2)
    assert done.returncode == 2
    assert "wanted the variables RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE" in done.stderr
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    done = command("pipelines/train.py", "--config", config_in(tmp_path), "--nproc", 2)
    assert done.returncode == 2
    assert "--nproc 2: wanted torchrun's number of processes, 3, or no --nproc" in done.stderr


def test_one_process_is_no_group() -> None:
    assert place({}) is None
    alone = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    assert place(alone) is None
    assert place({"WORLD_SIZE": "4"}) is None
    assert os.environ.get("WORLD_SIZE") is None
