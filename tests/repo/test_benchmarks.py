"""Benchmarks run, on equal output, and write the agreed JSON. No timing is judged here."""

import json
from pathlib import Path

import pytest

from benchmarks.harness import Benchmark
from tests.conftest import Command


def test_etl_runs_and_writes_json(command: Command, tmp_path: Path) -> None:
    done = command("benchmarks/etl.py", "--quick", "--json", tmp_path / "etl.json")
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "etl.json").read_text())
    assert written["benchmark"] == "etl"
    (case,) = written["cases"]
    assert case["sides"].keys() == {"ours", "nvtabular", "plain polars"}
    assert case["ratios"].keys() == {"nvtabular", "plain polars"}
    for figures in case["sides"].values():
        assert 0 < figures["min"] <= figures["median"] <= figures["max"]


def test_ratios_are_of_medians_and_targets_are_judged() -> None:
    benchmark = Benchmark("x")
    calls = {"ours": 0, "peer": 0}

    def work(side: str) -> None:
        calls[side] += 1

    case = benchmark.run("c", {side: lambda side=side: work(side) for side in calls}, repeats=3)
    assert calls == {"ours": 4, "peer": 4}
    case.seconds.update(ours=[1.0, 9.0, 2.0], peer=[6.0, 8.0, 0.1])
    assert case.ratios == {"peer": 3.0}
    benchmark.target("fast", 3.0, 2.0)
    benchmark.target("faster", 3.0, 4.0)
    assert [target["met"] for target in benchmark.targets] == [True, False]


@pytest.mark.parametrize("name", ["etl"])
def test_help(command: Command, name: str, capsys: pytest.CaptureFixture) -> None:
    assert command(f"benchmarks/{name}.py", "--help").returncode == 0
    assert "--quick" in capsys.readouterr().out
