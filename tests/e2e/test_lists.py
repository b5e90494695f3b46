"""List columns from text and flags to the scores of a real server."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from plumbline.dlrm.model.model_card import read_model_card
from tests.conftest import Command

CONFIG = {
    "name": "lists",
    "log": {
        "files": ["log.csv"],
        "header": False,
        "list_separator": ";",
        "columns": {
            "y": "label",
            "film": "integer",
            "words": "string_list",
            "seen": "integer_list",
            "hashes": "hex_list",
        },
    },
    "tables": {
        "films": {
            "file": "films.txt",
            "separator": "|",
            "header": False,
            "columns": {"film": "key", "year": "continuous", "old": "flag", "new": "flag"},
            "multi_hot": {"ages": ["old", "new"]},
        }
    },
    "split": {"by": "hash", "valid": 0.2, "test": 0.2},
    "workflow": {"graph": "standard", "options": {"frequency_threshold": 2}},
    "model": {"embedding_dim": 4, "bottom_mlp": [4], "top_mlp": [8], "bag": "sum"},
    "training": {"batch_size": 64, "epochs": 2, "embedding_learning_rate": 0.2},
    "serving": {"latency_requests": 3},
}
ROWS = 2500


def write_logs(folder: Path) -> None:
    rng = np.random.default_rng(3)
    lines = []
    for _ in range(ROWS):
        words = [f"w{number}" for number in rng.geometric(0.2, rng.integers(0, 5))]
        clicks = "w1" in words or rng.random() < 0.2
        seen = ";".join(map(str, rng.integers(0, 30, rng.integers(0, 4))))
        hashes = ";".join(f"{number:x}" for number in rng.integers(0, 300, rng.integers(0, 3)))
        lines.append(f"{clicks:d},{rng.integers(0, 9)},{';'.join(words)},{seen},{hashes}\n")
    (folder / "log.csv").write_text("".join(lines))
    films = [f"{film}|{1990 + film}|{film % 2}|{film % 3 // 2}\n" for film in range(8)]
    (folder / "films.txt").write_text("".join(films))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["native", "nvtabular"])
def test_lists_from_text_to_served_scores(process: Command, tmp_path: Path, engine: str) -> None:
    write_logs(tmp_path)
    config = tmp_path / "lists.yaml"
    config.write_text(yaml.safe_dump(CONFIG, sort_keys=False))
    arguments = ("--config", config, "--data", tmp_path, "--engine", engine)
    done = process("pipelines/run_all.py", *arguments)
    assert done.returncode == 0, done.stderr

    run = tmp_path / "runs" / "lists"
    architecture = read_model_card(run / "train" / "model").architecture
    assert architecture.single == ("film", "year_bucket")
    assert architecture.bags == ("words", "seen", "hashes", "ages")
    assert architecture.bag == "sum"
    encoded = pq.read_table(run / "etl" / "test")
    assert {str(encoded.schema.field(name).type.value_type) for name in architecture.bags} == {
        "int32"
    }
    report = json.loads((run / "report.json").read_text())
    assert report["evaluate"]["auc"] > 0.7, "the words tell who clicks"
    assert report["serve"]["ids_identical"] is True
    assert report["serve"]["max_abs_score_diff"] <= 1e-6
