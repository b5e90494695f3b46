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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from plumbline.features.drift.reference import REFERENCE_FILE
from plumbline.features.plan.plan import read_plan
from plumbline.serving.client.client import Client
from plumbline.serving.launch.server import TritonServer
from plumbline.serving.repository.export import write_repository
from plumbline.serving.repository.release import Release
from plumbline.serving.score.log_drift import Exported
from plumbline.serving.score.reading import ReadOptions
from plumbline.serving.score.row_files import RowFile
from plumbline.settings import Serving
from tests.conftest import ROOT
from tests.e2e.test_run_all import TINY

CONFIG = {**TINY, "click_model": {**TINY["click_model"], "rows": 3600}}  # type: ignore[dict-item]
ROWS = 1200
COLUMNS = {("number", "I1"), ("number", "I2"), ("id", "C1"), ("id", "C2"), ("id", "C3")}
INDEX = "plumbline_column_stability_index"
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
    found = drift_of(moved, "--run", run)
    wanted = counts_of(found, "ctr_fused", "ctr_features")
    for of, one in by_column(found).items():
        for model in ("ctr_fused", "ctr_features"):
            wanted[INDEX, model, of[1], of[0]] = one["stability_index"]
    rows = rows_of(run, moved)
    for model in ("ctr_fused", "ctr"):
        with Client(server.http_url, "http", model) as client:
            send(client, rows)
    assert awaited(server, wanted) == wanted


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_counts_of_two_processes_add_up(run: Path, moved: Path, tmp_path: Path) -> None:
    """The gauge is that of one of them."""
    settings = Serving(instances=2, precision="fp32")
    release = Release.of(
        read_plan(run / "etl" / "plan"),
        run / "train" / "model",
        rows_of(run, moved).slice(0, 64),
        settings,
        drift=run / "etl" / REFERENCE_FILE,
    )
    write_repository(release, tmp_path / "repository", settings)
    wanted = counts_of(drift_of(moved, "--run", run), "ctr_fused")
    rows = rows_of(run, moved)
    half = len(rows) // 2
    with TritonServer(tmp_path / "repository", tmp_path / "server") as server:

        def work(part: pa.Table) -> None:
            with Client(server.http_url, "http") as client:
                send(client, part)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(work, (rows.slice(0, half), rows.slice(half))))
        found = awaited(server, wanted)
    assert {of: value for of, value in found.items() if of[0] != INDEX} == wanted


def counts_of(found: dict[str, Any], *models: str) -> dict[tuple[str, str, str, str], float]:
    """The counters that servers of these models should have, as `metrics_of` returns them."""
    wanted: dict[tuple[str, str, str, str], float] = {}
    for (measure, column), one in by_column(found).items():
        for model in models:
            for metric, key in COUNTS.items():
                share = 1.0 if key == "values" else one[key]
                wanted[metric, model, column, measure] = round(share * one["values"])
    return wanted


def rows_of(run: Path, log: Path) -> pa.Table:
    """The rows of a log, as `plumbline score` reads them."""
    exported = Exported.read(run / "export" / "model_repository")
    file = RowFile(log, exported.plan.kinds, exported.rules, ReadOptions(), 10**6)
    return pa.concat_tables([chunk.rows for chunk in file])


def send(client: Client, rows: pa.Table) -> None:
    """All rows in requests of several sizes."""
    start = 0
    for count in [1] * 20 + [380, 200, 500, 100]:
        if start < len(rows):
            client.score(rows.slice(start, count))
        start += count
    assert start >= len(rows)


def awaited(
    server: TritonServer, wanted: dict[tuple[str, str, str, str], float]
) -> dict[tuple[str, str, str, str], float]:
    """The metrics, once they have all that is wanted; else after some time."""
    give_up = time.monotonic() + 120
    while not wanted.items() <= (found := metrics_of(server)).items():
        if time.monotonic() > give_up:
            break
        time.sleep(0.5)
    return found


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
