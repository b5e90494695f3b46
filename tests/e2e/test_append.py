"""Days appended by the commands that a user types, up to served scores and the next version."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from plumbline.base.files import file_sha256
from plumbline.base.manifest import MANIFEST_FILE, Manifest
from tests.conftest import ROOT, Command
from tests.e2e.test_run_all import TINY

STAGES = ("ingest", "etl", "train", "evaluate", "export")
APPEND = {"valid": 0.2, "test": 0.2, "replay": 0.25}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump({**TINY, "append": APPEND}, sort_keys=False))
    return file


def days(command: Command, tmp_path: Path) -> list[Path]:
    """The logs of other days."""
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump({**TINY, "seed": 9}, sort_keys=False))
    drawn = command("pipelines/generate.py", "--config", other, "--out", tmp_path / "other")
    assert drawn.returncode == 0, drawn.stderr
    names = Manifest.read(tmp_path / "other" / "generate").facts["files"]
    return [tmp_path / "other" / "generate" / name for name in names]


def tree(folder: Path) -> dict[str, str]:
    return {str(file): file_sha256(file) for file in folder.rglob("*") if file.is_file()}


@pytest.mark.timeout(600)
def test_days_are_appended_served_and_published(
    command: Command, config: Path, tmp_path: Path
) -> None:
    first = command("pipelines/run_all.py", "--config", config)
    assert first.returncode == 0, first.stderr
    parent = tmp_path / "runs" / "tiny"
    before, (day, next_day, _) = tree(parent), days(command, tmp_path)

    options = ("--config", config, "--append-to", "runs/tiny", "--data", day)
    one = command("pipelines/run_all.py", *options)
    assert one.returncode == 0, one.stderr
    assert "before training: AUC" in one.stderr and tree(parent) == before
    run = tmp_path / "runs" / "tiny+1"
    report = json.loads((run / "report.json").read_text())
    assert report["serve"]["ids_identical"] and report["serve"]["max_abs_score_diff"] <= 1e-5
    appended = report["append"]
    assert appended["parent"] == "runs/tiny" and appended["statistics"] == "merged"
    assert appended["replayed"] == round(0.25 * Manifest.read(run / "etl").rows["train"])
    (scored,) = appended["days"]
    assert scored["rows"] == 2000 and scored["files"] == [day.name] and 0.5 < scored["auc"] < 1
    page = (run / "report.html").read_text()
    assert "Each day was scored before it was trained on" in page and f"{scored['auc']:.4f}" in page

    again = command("pipelines/run_all.py", "--config", config, "--data", day, "--out", run)
    assert again.returncode == 0, again.stderr
    assert [f"{stage}: complete, skipped" in again.stderr for stage in STAGES] == [True] * 5

    same = command("pipelines/run_all.py", *options[:3], run, "--data", day)
    assert same.returncode == 2 and "has been trained on this file" in same.stderr
    two = command("pipelines/run_all.py", *options[:3], run, "--data", next_day, "--to", "export")
    assert two.returncode == 0, two.stderr
    for folder in (parent, tmp_path / "runs" / "tiny+2"):
        done = command(
            "plumbline/__main__.py", "publish", "--config", config, "--out", folder,
            "--repository", tmp_path / "live",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    versions = {file.name for file in (tmp_path / "live" / "ctr_fused").iterdir() if file.is_dir()}
    assert versions == {"1", "2"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--engine", "nvtabular"), "--engine nvtabular: a day is appended by the native engine"),
        (("--scheduler", "local"), "--scheduler local: a day is appended by the native engine"),
        ((), "runs/tiny/ingest/manifest.json: missing, so the stage is not complete"),
        (("--out", "runs/tiny"), "--append-to runs/tiny: that is the new run itself"),
    ],
)
def test_what_cannot_be_appended_is_one_line(
    command: Command, config: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    (tmp_path / "day.txt").write_text("1\t2\t3\ta\tb\tc\n")
    ended = command(
        "pipelines/run_all.py", "--config", config, "--append-to", "runs/tiny", "--data", "day.txt",
        *words,
    )  # fmt: skip
    assert ended.returncode == 2 and "Traceback" not in ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("error:")]
    assert message in line
    assert not (tmp_path / "runs" / "tiny+1").exists()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_process_is_made_good(command: Command, config: Path, tmp_path: Path) -> None:
    """SIGKILL as each stage begins; the same command then goes on to the same hashes."""
    root = command("pipelines/run_all.py", "--config", config, "--to", "train")
    assert root.returncode == 0, root.stderr
    day, *_ = days(command, tmp_path)
    words = ["--config", config, "--append-to", "runs/tiny", "--data", day, "--to", "export"]
    whole = command("pipelines/run_all.py", *words, "--out", "whole")
    assert whole.returncode == 0, whole.stderr
    for stage in STAGES:
        killed = subprocess.Popen(
            [sys.executable, ROOT / "pipelines" / "run_all.py", *map(str, words)],
            cwd=tmp_path,
            stderr=subprocess.DEVNULL,
        )
        folder = tmp_path / "runs" / "tiny+1" / stage
        while not folder.exists() and killed.poll() is None:
            time.sleep(0.005)
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
    ended = command("pipelines/run_all.py", *words)
    assert ended.returncode == 0, ended.stderr
    for stage in STAGES:
        one, other = (Manifest.read(tmp_path / run / stage) for run in ("whole", "runs/tiny+1"))
        assert one.hash == other.hash, stage
        assert (tmp_path / "runs" / "tiny+1" / stage / MANIFEST_FILE).is_file()
