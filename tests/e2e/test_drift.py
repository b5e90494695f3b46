"""Drift from a run to the server: a log against itself, moved logs, counts of a real Triton."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from plumbline.serving.client.client import Client
from plumbline.serving.contract.log_rules import LogRules
from plumbline.serving.launch.server import TritonServer
from plumbline.serving.score.reading import ReadOptions
from plumbline.serving.score.row_files import RowFile
from tests.conftest import ROOT
from tests.e2e.test_run_all import TINY

CONFIG = {**TINY, "click_model": {**TINY["click_model"], "rows": 3600}}  # type: ignore[dict-item]
ROWS = 1200
COLUMNS = {("number", "I1"), ("number", "I2"), ("id", "C1"), ("id", "C2"), ("id", "C3")}
COUNTS = {
    "plumbline_column_values_total": "values",
    "plumbline_column_missing_total": "missing",
    "plumbline_column_unseen_total": "unseen",
}


def plumbline(*arguments: object, timeout: float = 550) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "plumbline", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def drift_of(log: Path, *arguments: object) -> dict[str, Any]:
    ended = plumbline("drift", log, *arguments, "--json")
    assert ended.returncode == 0, ended.stderr
    return dict(json.loads(ended.stdout))


def by_column(found: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(one["measure"], one["column"]): one for one in found["columns"]}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drift")
    config = folder / "tiny.yaml"
    config.write_text(yaml.safe_dump(CONFIG, sort_keys=False))
    ended = plumbline("run", "--config", config, "--out", folder / "run", "--to", "export")
    assert ended.returncode == 0, ended.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def day(run: Path) -> Path:
    """The log that the model was trained on."""
    return run / "generate" / "day_0.tsv"


@pytest.fixture(scope="module")
def moved(day: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with larger values of I1, and values of C2 that nobody has seen."""
    file = tmp_path_factory.mktemp("moved") / "day"
    with day.open(newline="") as source, file.open("w", newline="") as target:
        written = csv.writer(target, delimiter="\t", lineterminator="\n")
        for number, row in enumerate(csv.reader(source, delimiter="\t")):
            row[1] = str(int(row[1]) * 50 + 1000) if row[1] else ""
            row[4] = "deadbeef" if number % 2 else ""
            written.writerow(row)
    return file


@pytest.mark.timeout(600)
def test_the_training_log_is_like_itself(run: Path, day: Path) -> None:
    found = drift_of(day, "--run", run)
    assert found["rows"] == found["training_rows"] == ROWS
    columns = by_column(found)
    assert columns.keys() == COLUMNS
    assert {one["stability_index"] for one in columns.values()} == {0.0}
    assert all(one["counts"] == one["counts_in_training"] for one in columns.values())
    assert columns["number", "I1"]["missing"] > 0 and columns["id", "C2"]["unseen"] > 0


@pytest.mark.timeout(600)
def test_columns_that_moved_come_first(run: Path, moved: Path) -> None:
    found = drift_of(moved, "--model", run / "export" / "model_repository")
    order = [(one["measure"], one["column"]) for one in found["columns"]]
    assert set(order[:2]) == {("number", "I1"), ("id", "C2")}
    index = {of: one["stability_index"] for of, one in by_column(found).items()}
    assert min(index["number", "I1"], index["id", "C2"]) > 1.0
    assert {index[of] for of in order[2:]} == {0.0}
    unknown = by_column(found)["id", "C2"]
    assert unknown["missing"] + unknown["unseen"] == 1.0


@pytest.mark.timeout(600)
def test_the_table_and_the_exit_status(run: Path, day: Path, moved: Path) -> None:
    same = plumbline("drift", day, "--run", run, "--fail-above", "0.25")
    assert same.returncode == 0, same.stderr
    assert "1,200 rows against 1,200 of training" in same.stdout and "far apart" not in same.stdout
    apart = plumbline("drift", moved, "--run", run, "--fail-above", "0.25")
    assert apart.returncode == 3, apart.stderr
    first, second = re.findall(r"^ +(\w+) +\w+ +[\d.]+ \(far apart\)", apart.stdout, re.M)
    assert {first, second} == {"I1", "C2"}
    assert plumbline("drift", moved, "--run", run).returncode == 0


@pytest.mark.timeout(600)
def test_what_is_missing_is_said(run: Path, day: Path, tmp_path: Path) -> None:
    neither = plumbline("drift", day)
    assert neither.returncode == 2 and "either --run OUT or --model FOLDER" in neither.stderr
    nothing = plumbline("drift", day, "--model", tmp_path)
    assert nothing.returncode == 2 and "config.pbtxt: missing" in nothing.stderr


@pytest.fixture
def server(run: Path, tmp_path: Path) -> Iterator[TritonServer]:
    with TritonServer(run / "export" / "model_repository", tmp_path) as running:
        yield running


@pytest.mark.timeout(600)
def test_a_server_counts_what_the_command_counts(
    server: TritonServer, run: Path, moved: Path
) -> None:
    columns = by_column(drift_of(moved, "--run", run))
    wanted: dict[tuple[str, str, str, str], float] = {}
    for (measure, column), one in columns.items():
        for model in ("ctr_fused", "ctr_features"):
            of = (model, column, measure)
            wanted[("plumbline_column_stability_index", *of)] = one["stability_index"]
            for metric, key in COUNTS.items():
                share = 1.0 if key == "values" else one[key]
                wanted[(metric, *of)] = round(share * one["values"])
    for model in ("ctr_fused", "ctr"):
        with Client(server.http_url, "http", model) as client:
            kinds = client.kinds
            rules = LogRules.of_parameters(model, client.parameters)
            chunks = [chunk.rows for chunk in RowFile(moved, kinds, rules, ReadOptions(), 10**6)]
            rows, start = pa.concat_tables(chunks), 0
            for count in [1] * 20 + [380, 700, 100]:
                client.score(rows.slice(start, count))
                start += count
            assert start == len(rows) == ROWS
    give_up = time.monotonic() + 120
    while (found := metrics_of(server)) != wanted and time.monotonic() < give_up:
        time.sleep(0.5)
    assert found == wanted


def metrics_of(server: TritonServer) -> dict[tuple[str, str, str, str], float]:
    """Metric, model, column and measure to value, of the metrics of columns."""
    url = f"http://127.0.0.1:{server.ports.metrics}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        text = answer.read().decode()
    found: dict[tuple[str, str, str, str], float] = {}
    for metric, labels, value in re.findall(r"^(plumbline_column_\w+)\{(.*)\} (\S+)$", text, re.M):
        of = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        assert of.pop("version") == "1" and of.keys() == {"model", "column", "measure"}
        found[metric, of["model"], of["column"], of["measure"]] = float(value)
    return found
