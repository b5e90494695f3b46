"""Benchmarks run, on equal output, and write the agreed JSON. No timing is judged here."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from benchmarks.etl import same_but_for_ties
from benchmarks.harness import Benchmark
from benchmarks.serve_merlin import MISSING as MERLIN_MISSING
from benchmarks.soak import OWN_MEMORY
from benchmarks.train import PEERS_MISSING
from benchmarks.train_sides import TORCHREC
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
def test_interaction_runs_and_writes_json(command: Command, tmp_path: Path) -> None:
    cases = run_quick(command, "interaction", tmp_path)
    assert len(cases) == 16
    for case in cases[::2]:
        assert case["ratios"].keys() == {
            "bmm and gather",
            "ours into given tensors",
            "copy of the bytes",
        }


@pytest.mark.timeout(300)
def test_train_runs_and_writes_json(command: Command, tmp_path: Path) -> None:
    (case,) = run_quick(command, "train", tmp_path)
    notes = json.loads((tmp_path / "figures.json").read_text())["notes"]
    assert (TORCHREC in case["sides"]) != (PEERS_MISSING in notes)
    assert case["sides"].keys() >= {"ours", "torch eager fp32", "bf16 matrix products alone"}


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
    for case in cases:
        assert case["ratios"].keys() == {"ours in fp32", "torch eager bf16", "torch eager fp32"}


@pytest.mark.timeout(300)
def test_numbers_runs_and_writes_json(command: Command, tmp_path: Path) -> None:
    ways = ("--ways", "normalize", "clip", "buckets alone", "ours")
    cases = run_quick(command, "numbers", tmp_path, *ways)
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
    "name", ["etl", "online", "interaction", "train", "scoring", "serve", "soak", "numbers"]
)
def test_help(command: Command, name: str, capsys: pytest.CaptureFixture) -> None:
    assert command(f"benchmarks/{name}.py", "--help").returncode == 0
    assert "--quick" in capsys.readouterr().out
