"""`plumbline run --engine spark`, as a user types it; executors and drivers are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from plumbline.features.drift.reference import REFERENCE_FILE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.usefixtures("spark")]

CONFIG = {
    "name": "tiny",
    "log": {
        "header": False,
        "columns": {"y": "label", "x": "continuous", "c": "integer", "s": "string"},
    },
    "split": {"by": "rows", "valid": 0.2, "test": 0.2},
    "workflow": {"graph": "standard"},
}
FILES, ROWS = 12, 400
CLUSTER = "local-cluster[2,1,700]"
MEMORY = "--conf spark.executor.memory=700m pyspark-shell"
SECONDS = 600


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration, a log of several files, and the native engine's run."""
    folder = tmp_path_factory.mktemp("command")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False))
    (folder / "logs").mkdir()
    random = np.random.default_rng(3)
    for number in range(FILES):
        lines = [
            f"{click},{x:.3f},{c},{'' if c % 5 == 0 else f'w{c % 17}'}"
            for click, x, c in zip(
                random.integers(0, 2, ROWS),
                random.lognormal(0, 3, ROWS),
                random.zipf(1.3, ROWS) % 300,
                strict=True,
            )
        ]
        (folder / "logs" / f"day_{number}.csv").write_text("\n".join(lines) + "\n")
    ended = started(folder, "native", "--engine", "native").communicate(timeout=SECONDS)
    assert (folder / "runs/native/etl/manifest.json").exists(), ended
    return folder


def started(folder: Path, out: str, *options: str, **environment: str) -> subprocess.Popen[str]:
    """The command with relative paths, in the folder."""
    given = ["--config", "tiny.yaml", "--data", "logs", "--out", f"runs/{out}", "--to", "etl"]
    return subprocess.Popen(
        [sys.executable, "-m", "plumbline", "run", *given, *options],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def manifest(folder: Path, out: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "runs" / out / "etl/manifest.json").read_text())
    return content


def rows(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(file) for file in sorted(folder.iterdir())])


def assert_as_native(folder: Path, out: str) -> None:
    one, other = manifest(folder, "native"), manifest(folder, out)
    assert other["facts"]["engine"] == "spark"
    assert other["facts"]["plan_hash"] == one["facts"]["plan_hash"]
    assert other["rows"] == one["rows"]
    of_features = ("plan/", REFERENCE_FILE)
    learned = [
        {name: sha256 for name, sha256 in m["files"].items() if name.startswith(of_features)}
        for m in (one, other)
    ]
    assert learned[0] == learned[1]
    encoded = other["files"].keys() - learned[1]
    assert {name.partition("/")[0] for name in encoded} == {*one["rows"]}
    assert all("/part-" in name for name in encoded)
    for split in one["rows"]:
        tables = [rows(folder / "runs" / run / "etl" / split) for run in ("native", out)]
        assert tables[0].equals(tables[1]), split


def processes(parent: int, words: str) -> Iterator[psutil.Process]:
    for process in psutil.Process(parent).children(recursive=True):
        try:
            if words in " ".join(process.cmdline()):
                yield process
        except psutil.Error:
            continue


def wait(running: subprocess.Popen[str], ready: Callable[[], Any]) -> Any:
    """What `ready` returns as soon as it is true; the command must still run."""
    end = time.monotonic() + SECONDS
    while not (found := ready()):
        assert time.monotonic() < end, "nothing happened"
        assert running.poll() is None, running.communicate()
        time.sleep(0.02)
    return found


def test_on_this_machine(folder: Path) -> None:
    """Chunks are read from the raw log, by relative names."""
    _, errors = (running := started(folder, "local", "--master", "local[2]")).communicate(
        timeout=SECONDS
    )
    assert running.returncode == 0, errors
    assert_as_native(folder, "local")
    assert not (folder / "runs/local/ingest/train").exists()  # no typed copy


def test_a_typed_copy(folder: Path) -> None:
    config = {**CONFIG, "log": {**CONFIG["log"], "typed_copy": True}}  # type: ignore[dict-item]
    (folder / "typed.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    for out, engine in (("typed-native", "native"), ("typed-spark", "spark")):
        running = started(folder, out, "--engine", engine, "--config", "typed.yaml")
        _, errors = running.communicate(timeout=SECONDS)
        assert running.returncode == 0, errors
    one, other = manifest(folder, "typed-native"), manifest(folder, "typed-spark")
    assert one["facts"]["plan_hash"] == other["facts"]["plan_hash"]
    for split in one["rows"]:
        tables = [
            rows(folder / "runs" / m / "etl" / split) for m in ("typed-native", "typed-spark")
        ]
        assert tables[0].equals(tables[1]), split


def test_a_day_is_appended_to_a_run_of_spark(folder: Path) -> None:
    """As to a run of the native engine, to the encoded rows and the trained model."""
    config = {**CONFIG, "append": {"keep_statistics": True}}
    (folder / "kept.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    (folder / "day.csv").write_bytes((folder / "logs/day_0.csv").read_bytes().replace(b"w1", b"v1"))
    for engine in ("native", "spark"):
        parent = ("--out", f"runs/kept-{engine}", "--data", "logs", "--engine", engine)
        day = ("--out", f"runs/day-{engine}", "--append-to", parent[1], "--data", "day.csv")
        for options in (parent, day):
            words = ("--config", "kept.yaml", "--to", "train", *options)
            done = subprocess.run(
                [sys.executable, "-m", "plumbline", "run", *words],
                cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
    one, other = manifest(folder, "day-native"), manifest(folder, "day-spark")
    assert one["facts"]["plan_hash"] == other["facts"]["plan_hash"]
    assert one["facts"]["append"]["new_ids"] == other["facts"]["append"]["new_ids"] != {}
    assert one["files"] == other["files"]
    models = [folder / f"runs/day-{e}/train/model/model.safetensors" for e in ("native", "spark")]
    assert models[0].read_bytes() == models[1].read_bytes()


@pytest.mark.parametrize("moment", ["fit", "encode"])
def test_an_executor_is_killed(folder: Path, moment: str) -> None:
    out = f"killed-in-{moment}"
    running = started(folder, out, "--master", CLUSTER, PYSPARK_SUBMIT_ARGS=MEMORY)
    scratch = folder / "runs" / out / "etl/scratch"

    def executor() -> psutil.Process | None:
        """One that has begun to run tasks; in `encode`, as soon as a training file is there."""
        if moment == "encode" and not list(scratch.glob("train-*")):
            return None
        for process in processes(running.pid, "CoarseGrainedExecutorBackend"):
            if list(processes(process.pid, "pyspark.daemon")):
                return process
        return None

    os.kill(wait(running, executor).pid, signal.SIGKILL)
    _, errors = running.communicate(timeout=SECONDS)
    assert running.returncode == 0, errors
    assert_as_native(folder, out)


def test_a_driver_is_killed_and_the_run_goes_on(folder: Path) -> None:
    running = started(folder, "again", "--master", "local[2]")
    scratch = folder / "runs/again/etl/scratch"
    wait(running, lambda: list(scratch.glob("*")) if scratch.exists() else None)
    running.kill()
    running.communicate(timeout=SECONDS)
    assert not (folder / "runs/again/etl/manifest.json").exists()
    running = started(folder, "again", "--master", "local[2]")
    _, errors = running.communicate(timeout=SECONDS)
    assert running.returncode == 0, errors
    assert_as_native(folder, "again")


@pytest.mark.parametrize(
    ("master", "message"),
    [
        (
            "locl[2]",
            "error: --master locl[2]: wanted a Spark master that answers, such as local[*]",
        ),
        ("spark://127.0.0.1:1", "error: --master spark://127.0.0.1:1: wanted a Spark master that"),
    ],
)
def test_a_master_that_is_not_there(folder: Path, master: str, message: str) -> None:
    running = started(folder, "nowhere", "--master", master)
    _, errors = running.communicate(timeout=SECONDS)
    assert running.returncode == 2, errors
    assert errors.strip().splitlines()[-1].startswith(message)


def test_workers_without_plumbline(folder: Path) -> None:
    python = folder / "python-without-packages"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    python.chmod(0o755)
    running = started(folder, "bare", "--master", "local[2]", PYSPARK_PYTHON=str(python))
    _, errors = running.communicate(timeout=SECONDS)
    assert running.returncode == 2, errors
    line = errors.strip().splitlines()[-1]
    assert line.startswith(
        "error: Wanted Spark workers that can import Plumbline, but one raises: "
    )
    assert "No module named" in line
