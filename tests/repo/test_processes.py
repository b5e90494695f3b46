"""The benchmark of several processes runs, on equal work, and writes the agreed JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.processes import name_of
from plumbline.dlrm.processes.requirements import missing_packages
from tests.conftest import Command


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_benchmark_runs_and_writes_json(command: Command, tmp_path: Path) -> None:
    done = command("benchmarks/processes.py", "--quick", "--json", tmp_path / "figures.json")
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "figures.json").read_text())
    assert written["benchmark"] == "processes"
    if missing_packages():
        assert written["cases"] == [] and len(written["notes"]) == 1
        return
    assert [case["case"] for case in written["cases"]] == [
        "kaggle, fp32, batch 512",
        "kaggle, bf16, batch 512",
    ]
    for case in written["cases"]:
        assert case["sides"].keys() == {"ours", name_of(2)}
