"""A run that Ctrl-C ends says how it goes on, and does."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CONFIG = """
name: tiny
log: {columns: {y: label, x: continuous, c: integer}}
split: {by: rows, valid: 0.2, test: 0.2}
workflow: {graph: standard}
training: {epochs: 40, batch_size: 8, early_stopping: false}
"""
SAYS = "interrupted: complete stages stay; it goes on with: "


def _as_in_a_terminal() -> None:
    """A shell starts what runs in its background with SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ctrl_c_in_training_leaves_a_run_that_goes_on(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    rows = "".join(f"{i % 2},{i % 7}.5,{i % 11}\n" for i in range(2000))
    (tmp_path / "log.csv").write_text(f"y,x,c\n{rows}")
    log = tmp_path / "stderr"
    words = ["run", "--config", "tiny.yaml", "--data", "log.csv", "--to", "train", "--force"]
    with log.open("w") as stderr:
        run = subprocess.Popen(
            [sys.executable, "-m", "plumbline", *words],
            cwd=tmp_path,
            stderr=stderr,
            preexec_fn=_as_in_a_terminal,
        )
        end = time.monotonic() + 300
        while "epoch 1:" not in log.read_text():
            assert run.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        run.send_signal(signal.SIGINT)
        assert run.wait(120) == 130
    said = log.read_text().splitlines()[-1]
    assert said == f"{SAYS}plumbline run --config tiny.yaml --data log.csv --to train"
    shown = subprocess.run(
        [sys.executable, "-m", "plumbline", "status", "runs/tiny"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "The next run does: train." in shown.stdout
    again = subprocess.run(
        [sys.executable, "-m", *said.removeprefix(SAYS).split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert again.returncode == 0, again.stderr
    assert "etl: complete, skipped" in again.stderr
    assert "train: complete, skipped" not in again.stderr
