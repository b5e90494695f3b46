"""Benchmarks run, on equal output, and write the agreed JSON. No timing is judged here."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from benchmarks.etl import same_but_for_ties
from benchmarks.harness import Benchmark
from benchmarks.operator_cases import CASES
from benchmarks.operators import SEVERAL_KEYS
from benchmarks.serve_merlin import MISSING as MERLIN_MISSING
from benchmarks.soak import OWN_MEMORY
from benchmarks.tables import PEERS_MISSING as TABLES_PEERS_MISSING
from benchmarks.train import PEERS_MISSING
from benchmarks.train_sides import TORCHREC
from plumbline.nvtabular.operators import SUPPORTED
from tests.conftest import Command


def run_quick(command: Command, name: str, folder: Path, *options: str) -> list[dict[str, Any]]:
    done = command(f"benchmarks/{name}.py", "--quick", "--json", folder / "figures.json", *options)
    assert done.returncode == 0, done.stderr
    written = json.loads((folder / "figures.json").read_text())
    assert written["benchmark"] == name
    for case in written["cases"]:
        for figures in case["sides"].values():
            assert 0 < figures["min"] <= figures["median"] <= figures["max"]
    cases: list[dict[str, Any]] = written["cases"]
    return cases


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_etl_runs_and_writes_json(command: Command, tmp_path: Path) -> None:
    cases = run_quick(command, "etl", tmp_path)
    assert [case["case"] for case in cases] == ["20,000 rows, parquet", "20,000 rows, text"]
    for case in cases:
        assert case["sides"].keys() == {"ours", "nvtabular", "plain polars"}
        assert case["ratios"].keys() == {"nvtabular", "plain polars"}


@pytest.mark.timeout(300)
def test_online_runs_and_writes_json(command: Command, tmp_path: Path) -> None:
    one, many, fitted = run_quick(command, "online", tmp_path)
    assert one["case"].startswith("1 row, ") and many["case"].startswith("1,024 rows, ")
    assert fitted["ratios"].keys() == {"nvtabular"}


@pytest.mark.timeout(300)
def test_operators_runs_and_writes_json(command: Command, tmp_path: Path) -> None:
    cases = run_quick(command, "operators", tmp_path, "--only", "keys")
    against = [case for case in cases if case["ratios"]]
    assert [case["case"].split(",")[0] for case in against] == [
        "JoinGroupby of two keys",
        "TargetEncoding of two keys",
    ]
    assert len(cases) == 2 * len(against) + len(SEVERAL_KEYS) + 2


def test_every_operator_is_measured() -> None:
    assert {name for case in CASES for name in case.operators} == {*SUPPORTED}


@pytest.mark.timeout(300)
def test_interaction_runs_and_writes_json(command: Command, tmp_path: Path) -> None:
    cases = run_quick(command, "interaction", tmp_path)
    assert len(cases) == 16
    for case in cases[::2]:
        assert case["ratios"].keys() == {"bmm and gather", "copy of the bytes"}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_train_runs_and_writes_json(command: Command, tmp_path: Path) -> None:
    (case,) = run_quick(command, "train", tmp_path)
    notes = json.loads((tmp_path / "figures.json").read_text())["notes"]
    assert (TORCHREC in case["sides"]) != (PEERS_MISSING in notes)
    assert case["sides"].keys() >= {"ours", "torch eager fp32", "bf16 matrix products alone"}


TABLE = """
name: {name}
log:
  files: [{name}.csv]
  columns: {{a: string, b: integer, x: continuous, y: label}}
split: {{by: hash, valid: 0.2, test: 0.2}}
workflow: {{graph: standard}}
model: {{embedding_dim: 4, bottom_mlp: [4], top_mlp: [8]}}
"""


def draw_table(folder: Path, name: str, rows: int) -> None:
    """A table whose clicks follow a number and a category, and its configuration."""
    generator = np.random.default_rng(rows)
    a, x = generator.integers(0, 4, rows), generator.normal(size=rows)
    click = generator.random(rows) < 1 / (1 + np.exp(-(a - 1.5 + x)))
    columns = {"a": [f"v{value}" for value in a], "b": a * 7, "x": x, "y": click.astype(int)}
    pl.DataFrame(columns).write_csv(folder / f"{name}.csv")
    (folder / f"{name}.yaml").write_text(TABLE.format(name=name))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_tables_runs_and_writes_json(command: Command, tmp_path: Path) -> None:
    draw_table(tmp_path, "large", 2000)
    draw_table(tmp_path, "small", 200)
    folders = ("--configs", tmp_path, "--data", tmp_path)
    cases = run_quick(command, "tables", tmp_path, *map(str, folders))
    assert [case["case"] for case in cases[:2]] == ["large, AUC", "large, log loss"]
    assert len(cases) == 8
    assert 0.7 < cases[0]["sides"]["ours"]["median"] < 1
    written = json.loads((tmp_path / "figures.json").read_text())
    targets = {target["name"]: target for target in written["targets"]}
    above = "AUC above that of logistic regression"
    assert f"large: {above}" in targets and f"small: {above}" not in targets
    gap = targets["AUC behind the better of logistic regression and LightGBM, mean of the tables"]
    if TABLES_PEERS_MISSING in written["notes"]:
        assert gap["value"] is None and not gap["met"]
        return
    assert cases[0]["sides"].keys() == {"ours", "logistic regression", "LightGBM"}
    behind = [
        max(case["sides"][side]["median"] for side in ("logistic regression", "LightGBM"))
        - case["sides"]["ours"]["median"]
        for case in (cases[0], cases[4])
    ]
    assert gap["value"] == pytest.approx(np.mean(behind), abs=1e-3)


def test_the_error_for_missing_tables(command: Command, tmp_path: Path) -> None:
    done = command("benchmarks/tables.py")
    assert done.returncode == 2
    assert "wanted --data DIR" in done.stderr
    (tmp_path / "a.yaml").write_text(TABLE.format(name="a").replace("files: [a.csv]", "files: []"))
    done = command("benchmarks/tables.py", "--data", tmp_path, "--configs", tmp_path)
    assert done.returncode == 2
    assert "a.yaml: wanted log.files" in done.stderr
    done = command("benchmarks/tables.py", "--data", tmp_path, "--configs", tmp_path / "none")
    assert done.returncode == 2
    assert "found none" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_serve_runs_and_writes_json(command: Command, tmp_path: Path) -> None:
    cases = {case["case"]: case for case in run_quick(command, "serve", tmp_path)}
    written = json.loads((tmp_path / "figures.json").read_text())
    assert ("feature step, 1 rows, HTTP" in cases) != (MERLIN_MISSING in written["notes"])
    assert cases["kaggle, grpc, 64 rows, p50"]["ratios"].keys() == {
        "ensemble",
        "no-op",
        "ensemble of no-ops",
    }
    assert [load["in_flight"] for load in written["loads"]] == [1, 4, None, None]
    assert not any(load["wrong_scores"] for load in written["loads"])
    met = {target["name"]: target["met"] for target in written["targets"]}
    assert met["kaggle: scores that differ from offline"]
    assert met["kaggle: errors that are no refusals"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_gateway_runs_and_writes_json(command: Command, tmp_path: Path) -> None:
    (case,) = run_quick(command, "gateway", tmp_path)
    assert case["ratios"].keys() == {"direct HTTP, rows", "direct HTTP, tensors"}
    targets = json.loads((tmp_path / "figures.json").read_text())["targets"]
    met = {target["name"]: target["met"] for target in targets}
    assert met["valid requests between hostile ones that failed"]
    assert met["restarts of the server"]
    assert met["scores that differ from offline"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_soak_runs_and_writes_json(command: Command, tmp_path: Path) -> None:
    cases = run_quick(command, "soak", tmp_path)
    latencies = {
        f"{model}, {protocol}"
        for model in ("ctr", "ctr_dlrm", "ctr_features", "ctr_fused")
        for protocol in ("grpc", "http")
    }
    assert {case["case"] for case in cases} == {*latencies, OWN_MEMORY}
    targets = json.loads((tmp_path / "figures.json").read_text())["targets"]
    met = {target["name"]: target["met"] for target in targets}
    assert met["answers that differ from offline"]
    assert met["wrong requests that were not refused"]


@pytest.mark.timeout(300)
def test_scoring_runs_and_writes_json(command: Command, tmp_path: Path) -> None:
    cases = run_quick(command, "scoring", tmp_path)
    assert [case["case"] for case in cases] == [
        f"{model}, {rows}"
        for model in ("article", "kaggle")
        for rows in ("1 row", "64 rows", "2,048 rows")
    ]
    sides = {"ours in fp32", "ours in int8", "torch eager bf16", "torch eager fp32"}
    for case in cases:
        alone = {"bf16 matrix products alone"} if case["case"].endswith("2,048 rows") else set()
        assert case["ratios"].keys() == sides | alone


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_number_graphs_runs_and_writes_json(command: Command, tmp_path: Path) -> None:
    ways = ("--ways", "normalize", "clip", "buckets alone", "ours")
    cases = run_quick(command, "number_graphs", tmp_path, *ways)
    assert [case["case"] for case in cases] == ["unkind", "waves"]
    for case in cases:
        assert case["ratios"].keys() == {"normalize", "clip", "buckets alone"}


def test_ratios_are_of_medians_and_targets_are_judged() -> None:
    benchmark = Benchmark("x")
    figures = {"ours": iter([1.0, 9.0, 2.0]), "peer": iter([6.0, 8.0, 0.1])}
    sides = {side: figures[side].__next__ for side in figures}
    case = benchmark.run("c", "s", sides, repeats=3)
    assert case.figures == {"ours": [1.0, 9.0, 2.0], "peer": [6.0, 8.0, 0.1]}
    assert case.ratios == {"peer": 3.0}
    benchmark.at_least("fast", 3.0, 2.0)
    benchmark.at_least("faster", 3.0, 4.0)
    benchmark.at_most("small", 3.0, 4.0)
    benchmark.not_measured("unknown", 2.0)
    assert [target["met"] for target in benchmark.targets] == [True, False, True, False]
    assert [target["value"] for target in benchmark.targets] == [3.0, 3.0, 3.0, None]


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ([1, 2, 3, 3, 4, 5], True),
        ([1, 2, 3, 3, 5, 4], True),
        ([1, 2, 4, 4, 3, 5], False),
        ([1, 3, 2, 2, 4, 5], False),
        ([1, 2, 3, 3, 4, 4], False),
        ([2, 1, 3, 3, 4, 5], False),
    ],
)
def test_ids_may_differ_among_ties_alone(other: list[int], same: bool) -> None:
    one = pl.Series([1, 2, 3, 3, 4, 5])
    assert same_but_for_ties(one, pl.Series(other)) == same


@pytest.mark.parametrize(
    "name",
    [
        "etl",
        "online",
        "interaction",
        "train",
        "scoring",
        "serve",
        "soak",
        "number_graphs",
        "first_report",
        "append",
        "scale",
        "kills",
        "drift",
    ],
)
def test_help(command: Command, name: str, capsys: pytest.CaptureFixture) -> None:
    assert command(f"benchmarks/{name}.py", "--help").returncode == 0
    assert "--quick" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_threads_runs_and_writes_json(command: Command, tmp_path: Path) -> None:
    train, score, beside = run_quick(command, "threads", tmp_path)
    sides = {"ours", "ours, one thread", "ours, threads that spin"}
    assert train["sides"].keys() == score["sides"].keys() == sides
    assert beside["sides"].keys() == {*sides, "fair time"}


@pytest.mark.timeout(300)
def test_drift_runs_and_writes_json(command: Command, tmp_path: Path) -> None:
    cases = run_quick(command, "drift", tmp_path)
    assert [case["case"] for case in cases] == ["1 row a request", "2,048 rows a request"]
    assert all(case["sides"].keys() == {"ours", "without drift"} for case in cases)


@pytest.mark.timeout(300)
def test_roofline_runs_and_writes_json(command: Command, tmp_path: Path) -> None:
    cases = {case["case"]: case for case in run_quick(command, "roofline", tmp_path)}
    gather = next(case for name, case in cases.items() if name.startswith("embedding gather"))
    assert gather["sides"].keys() == {"ours", "copy", "rows at random"}
    scoring = next(case for name, case in cases.items() if name.startswith("scoring article"))
    assert scoring["sides"].keys() == {"ours", "copy", "products"}


@pytest.mark.timeout(300)
def test_gpu_loader_runs_and_writes_json(command: Command, tmp_path: Path) -> None:
    whole, clock, gather = run_quick(command, "gpu_loader", tmp_path)
    assert whole["ratios"].keys() == clock["ratios"].keys() == {"loader for a CPU"}
    assert gather["ratios"].keys() == {"copy"}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_append_runs_and_writes_json(command: Command, tmp_path: Path) -> None:
    (case,) = run_quick(command, "append", tmp_path)
    assert case["case"] == "small layers, 4,000 rows after 3 days of as many"
    assert case["sides"].keys() == {"ours", "the day alone"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_scale_runs_on_equal_plans_and_writes_json(command: Command, tmp_path: Path) -> None:
    cases = run_quick(command, "scale", tmp_path, "rows", "engines")
    assert [case["case"].partition(",")[0] for case in cases] == [
        "5",
        "10",
        "stage etl as a command",
        "stage etl as a command",
    ]
    assert {"ours", "dask"} <= cases[-1]["sides"].keys()


def test_an_unknown_part_of_scale_is_refused(command: Command) -> None:
    done = command("benchmarks/scale.py", "rows", "moon")
    assert done.returncode == 2
    assert "wanted parts of rows, engines, processes, days, got moon" in done.stderr
