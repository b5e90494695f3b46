"""The benchmark of bfloat16 rows runs; its figures are not judged here."""

import json
from pathlib import Path

import pytest

from tests.conftest import Command


@pytest.mark.timeout(300)
def test_every_precision_of_rows_is_trained(command: Command, tmp_path: Path) -> None:
    done = command("benchmarks/embedding_rows.py", "--quick", "--json", tmp_path / "figures.json")
    assert done.returncode == 0, done.stderr
    cases = json.loads((tmp_path / "figures.json").read_text())["cases"]
    assert [case["case"].split(",")[0] for case in cases] == ["sgd", "rowwise_adagrad"]
    for case in cases:
        assert case["sides"].keys() == {"ours", "fp32", "bf16 to nearest"}
        assert all(figures["min"] > 0 for figures in case["sides"].values())
