"""What the commands that work in a run's folder do about its state."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from plumbline.stages.run_lock import run_lock
from tests.conftest import ROOT, Command

CONFIG = """
name: tiny
log: {columns: {y: label, x: continuous}, typed_copy: true}
split: {by: rows, valid: 0.2, test: 0.2}
workflow: {graph: standard}
"""


@pytest.fixture
def options(tmp_path: Path) -> list[object]:
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    (tmp_path / "log.csv").write_text("y,x\n" + "".join(f"{i % 2},{i}.5\n" for i in range(3000)))
    given = ["--config", tmp_path / "tiny.yaml", "--data", tmp_path / "log.csv"]
    return [*given, "--out", tmp_path / "run"]


def line_of(stderr: str) -> str:
    assert "Traceback" not in stderr
    (line,) = [line for line in stderr.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.parametrize(
    "words",
    [
        ["run_all.py"],
        ["run_all.py", "--force"],
        ["ingest.py"],
        ["train.py"],
        ["export.py"],
        ["export.py", "--publish"],
        ["serve.py"],
    ],
    ids=" ".join,
)
def test_a_second_command_in_the_folder_of_a_run_is_refused(
    tmp_path: Path, command: Command, options: list[object], words: list[str]
) -> None:
    script, *more = words
    with run_lock(tmp_path / "run"):
        ended = command(f"pipelines/{script}", *options, *more)
    assert ended.returncode == 2
    assert "works in this folder. Wait until it has ended" in line_of(ended.stderr)


@pytest.mark.parametrize("name", ["ingest", "ingest/manifest.json"])
def test_another_kind_of_file_in_the_way_is_one_line(
    tmp_path: Path, command: Command, options: list[object], name: str
) -> None:
    with run_lock(tmp_path / "run"):
        pass
    way = tmp_path / "run" / name
    way.parent.mkdir(exist_ok=True)
    way.mkdir() if name.endswith("json") else way.touch()
    ended = command("pipelines/ingest.py", *options)
    assert ended.returncode == 2 and name in line_of(ended.stderr)


@pytest.mark.parametrize("kibibytes", [0, 4, 12])
def test_files_that_may_not_grow_are_one_line(
    tmp_path: Path, options: list[object], kibibytes: int
) -> None:
    """As on a full disk; the limit holds for what native code writes too."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (kibibytes << 10, kibibytes << 10))

    done = subprocess.run(
        [sys.executable, ROOT / "pipelines/ingest.py", *map(str, options)],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    line = line_of(done.stderr)
    assert "File too large" in line and str(tmp_path / "run") in line


def test_json_has_stages_progress_and_errors_and_nothing_else(
    command: Command, options: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    def events(*words: object) -> list[dict[str, Any]]:
        ended = command("pipelines/run_all.py", *options, "--to", "etl", "--json", *words)
        assert ended.stderr == ""
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    first = events()
    stages = [(e["stage"], e["state"]) for e in first if e["event"] == "stage"]
    assert stages == [(n, s) for n in ("ingest", "etl") for s in ("begun", "complete")]
    done = {e["what"]: e["done"] for e in first if e["event"] == "progress"}
    assert done["reading"] == 3000 and {"encoding", "checking"} < done.keys()
    again = events()
    assert [(e["stage"], e["state"]) for e in again] == [("ingest", "skipped"), ("etl", "skipped")]
    *_, error = events("--from", "serve")
    assert error["event"] == "error" and error["status"] == 2


def test_scores_and_json_do_not_share_standard_output(command: Command) -> None:
    ended = command("plumbline/__main__.py", "score", "rows.csv", "--json")
    assert ended.returncode == 2
    assert "--json without --out: both write to standard output" in ended.stderr
