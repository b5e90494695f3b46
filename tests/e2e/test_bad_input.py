"""Each kind of bad input ends in one line that says what and where, and exit status 2."""

import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from plumbline.features.plan.plan import read_plan
from tests.conftest import Command

COLUMNS = {"click": "label", "x": "continuous", "c": "integer", "s": "string"}


def write_config(folder: Path, **changes: Any) -> Path:
    content = {
        "name": "bad",
        "log": {"columns": COLUMNS},
        "split": {"by": "rows", "valid": 0.2, "test": 0.2},
        "workflow": {"graph": "standard"},
        "model": {"embedding_dim": 4, "bottom_mlp": [4], "top_mlp": [4]},
        **changes,
    }
    file = folder / "bad.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return file


def write_log(folder: Path, **changes: list[str]) -> Path:
    generator = np.random.default_rng(1)
    columns = {
        "click": generator.integers(0, 2, 200).astype(str).tolist(),
        "x": generator.random(200).round(3).astype(str).tolist(),
        "c": generator.integers(0, 9, 200).astype(str).tolist(),
        "s": generator.choice(["a", "ü"], 200).tolist(),
        **changes,
    }
    lines = [",".join(columns), *map(",".join, zip(*columns.values(), strict=True))]
    file = folder / "log.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def refused(done: Any, *wanted: str) -> None:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    for words in wanted:
        assert words in errors[0], errors[0]


def no_stage(folder: Path, stage: str) -> None:
    assert not (folder / "runs" / "bad" / stage / "manifest.json").exists()


def test_unknown_config_key(command: Command, tmp_path: Path) -> None:
    config = write_config(tmp_path, training={"epoch": 1})
    done = command("pipelines/run_all.py", "--config", config, "--data", write_log(tmp_path))
    refused(done, "bad.yaml", "training", "unknown key 'epoch'", "did you mean 'epochs'?")


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"x": ["1"] * 199 + ["abc"] * 1}, ["log.csv:201", "'x'", "abc"]),
        ({"click": ["1"] * 200}, ["train", "click"]),
        ({"click": ["0"] * 160 + ["1"] * 40}, ["train", "click"]),
    ],
)
def test_rows_that_cannot_be_used(
    command: Command, tmp_path: Path, changes: dict[str, list[str]], wanted: list[str]
) -> None:
    config = write_config(tmp_path, log={"columns": COLUMNS, "malformed_limit": 0})
    done = command(
        "pipelines/ingest.py", "--config", config, "--data", write_log(tmp_path, **changes)
    )
    refused(done, *wanted)
    no_stage(tmp_path, "ingest")


def test_missing_column(command: Command, tmp_path: Path) -> None:
    config = write_config(tmp_path, log={"columns": {**COLUMNS, "y": "continuous"}})
    done = command("pipelines/ingest.py", "--config", config, "--data", write_log(tmp_path))
    refused(done, "log.csv", "'y'")
    no_stage(tmp_path, "ingest")


@pytest.mark.parametrize("content", [None, b"", b"click,x,c,s\n"])
def test_no_rows(command: Command, tmp_path: Path, content: bytes | None) -> None:
    log = tmp_path / "log.csv"
    if content is not None:
        log.write_bytes(content)
    done = command("pipelines/ingest.py", "--config", write_config(tmp_path), "--data", log)
    refused(done, "log.csv" if content is None or not content else "")
    no_stage(tmp_path, "ingest")


def test_no_data_given(command: Command, tmp_path: Path) -> None:
    refused(command("pipelines/run_all.py", "--config", write_config(tmp_path)), "--data")


@pytest.mark.parametrize("engine", ["native", "nvtabular"])
def test_columns_of_missing_values_work(command: Command, tmp_path: Path, engine: str) -> None:
    log = write_log(tmp_path, **{column: [""] * 200 for column in ("x", "c", "s")})
    options = ("--config", write_config(tmp_path), "--data", log, "--to", "export")
    done = command("pipelines/run_all.py", *options, "--engine", engine)
    assert done.returncode == 0, done.stderr
    plan = read_plan(tmp_path / "runs" / "bad" / "etl" / "plan")
    found = {column.name: column.cardinality for column in plan.categorical}
    assert found == {"c": 3, "s": 3, "x_bucket": 2}


@pytest.mark.parametrize("engine", ["native", "nvtabular"])
@pytest.mark.parametrize("kinds", [{"x": "continuous"}, {"c": "integer", "s": "string"}])
def test_no_categorical_or_no_continuous_columns_work(
    command: Command, tmp_path: Path, kinds: dict[str, str], engine: str
) -> None:
    config = write_config(
        tmp_path,
        log={"columns": {**dict.fromkeys(COLUMNS, "unused"), "click": "label", **kinds}},
    )
    options = ("--config", config, "--data", write_log(tmp_path), "--to", "export")
    done = command("pipelines/run_all.py", *options, "--engine", engine)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "bad" / "export" / "manifest.json").exists()


def test_a_plan_that_was_changed(command: Command, tmp_path: Path) -> None:
    options = ("--config", write_config(tmp_path), "--data", write_log(tmp_path))
    assert command("pipelines/run_all.py", *options, "--to", "etl").returncode == 0
    plan = tmp_path / "runs" / "bad" / "etl" / "plan" / "plan.json"
    plan.write_text(plan.read_text().replace('"name": "x"', '"name": "z"'))
    refused(command("pipelines/train.py", *options), "plan.json", "SHA-256")
    no_stage(tmp_path, "train")


def test_no_server_binary(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLUMBLINE_TRITONSERVER", str(tmp_path / "nowhere"))
    options = ("--config", write_config(tmp_path), "--data", write_log(tmp_path))
    refused(command("pipelines/run_all.py", *options), "nowhere")
    no_stage(tmp_path, "serve")


def test_a_port_that_is_taken(command: Command, tmp_path: Path) -> None:
    options = ("--config", write_config(tmp_path), "--data", write_log(tmp_path))
    assert command("pipelines/run_all.py", *options, "--to", "export").returncode == 0
    repository = tmp_path / "runs" / "bad" / "export" / "model_repository"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = command("serving/server.py", repository, "--http-port", port)
    refused(done, str(port))
