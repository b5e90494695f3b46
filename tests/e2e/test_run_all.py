"""The whole line on a tiny set, by the commands a user types, through the real Triton server."""

import json
from html import escape
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from tests.conftest import Command

TINY = {
    "name": "tiny",
    "click_model": {"rows": 6000, "days": 3, "vocabulary": [40, 300, 5], "continuous": 2},
    "log": {
        "separator": "\t",
        "header": False,
        "columns": {"label": "label", "I1..I2": "continuous", "C1..C3": "hex"},
    },
    "split": {"by": "file", "valid": [1], "test": [2]},
    "workflow": {"graph": "criteo", "options": {"frequency_threshold": 2}},
    "model": {"embedding_dim": 4, "bottom_mlp": [8, 4], "top_mlp": [8]},
    "training": {"batch_size": 64, "epochs": 1},
    "serving": {"latency_requests": 3},
}
STAGES = ["generate", "ingest", "etl", "train", "evaluate", "export", "serve"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(TINY, sort_keys=False))
    return file


def test_from_nothing_to_served_scores_and_again(
    command: Command, process: Command, config: Path, tmp_path: Path
) -> None:
    first = process("pipelines/run_all.py", "--config", config)
    assert first.returncode == 0, first.stderr
    run = tmp_path / "runs" / "tiny"
    check_report(json.loads((run / "report.json").read_text()))
    page = (run / "report.html").read_text()
    verdict = json.loads((run / "report.json").read_text())["evaluate"]["verdict"]
    assert page.index(escape(verdict["text"])) < page.index("identical")
    assert verdict["text"][:20] in first.stderr
    assert "identical" in page and "Best reachable AUC" in page
    nulls = pq.read_table(run / "ingest" / "probe")
    assert nulls["C1"].null_count > 0 and nulls["I1"].null_count > 0

    again = command("pipelines/run_all.py", "--config", config)
    assert again.returncode == 0, again.stderr
    assert [f"{stage}: complete, skipped" in again.stderr for stage in STAGES] == [True] * 7

    (run / "evaluate" / "manifest.json").unlink()
    resumed = command("pipelines/run_all.py", "--config", config, "--to", "evaluate")
    assert resumed.returncode == 0, resumed.stderr
    assert "train: complete, skipped" in resumed.stderr
    assert (run / "evaluate" / "manifest.json").exists()

    config.write_text(yaml.safe_dump({**TINY, "seed": 5}, sort_keys=False))
    changed = command("pipelines/run_all.py", "--config", config)
    assert changed.returncode == 2
    assert "seed: was 1, is 5" in changed.stderr and "--from generate" in changed.stderr


def check_report(report: dict) -> None:
    assert report["config"] == "tiny"
    assert report["rows"] == {"train": 2000, "valid": 2000, "test": 2000}
    assert report["etl"]["engine"] == "native"
    assert report["etl"].keys() >= {"fit_seconds", "transform_seconds", "rows_per_second"}
    assert report["etl"]["peak_rss_mb"] > 50
    assert report["train"]["model"] == "fused"
    assert report["train"]["processes"] == 1
    assert report["train"]["steps"] == 32
    assert 0.3 < report["train"]["final_loss"] < 0.8
    evaluate = report["evaluate"]
    assert 0.5 < evaluate["auc"] <= evaluate["bayes_auc"] + 0.05 < 1.0
    assert evaluate.keys() >= {"logloss", "normalized_entropy", "calibration"}
    assert evaluate["verdict"].keys() == {"ok", "text", "advice"}
    baselines = evaluate["baselines"]
    assert baselines["constant"]["auc"] == 0.5
    assert 0.5 < baselines["logistic_regression"]["auc"] <= evaluate["bayes_auc"] + 0.05
    assert isinstance(report["warnings"], list)
    assert [epoch["rows"] for epoch in report["train"]["valid"]] == [2000]
    assert [column["name"] for column in report["etl"]["columns"]] == ["C1", "C2", "C3", "I1", "I2"]
    serve = report["serve"]
    assert serve["rows_compared"] >= 1000
    assert serve["ids_identical"] is True
    assert serve["max_abs_score_diff"] <= 1e-5
    for latency in (serve["latency_ms"], *serve["latency_ms_by_protocol"].values()):
        for model in ("ensemble", "fused"):
            assert list(latency[model]) == ["1", "64", "1024"]
            assert all(0 < times["p50"] <= times["p99"] for times in latency[model].values())
    assert list(report["seconds"]) == STAGES
    assert list(report["stages"]) == STAGES
    assert all(stage["peak_rss_mb"] > 50 for stage in report["stages"].values())
    course = report["ingest"]["course"]
    assert (sum(course["rows"]), sum(course["splits"]["test"])) == (6000, 2000)
    missing = {column["name"]: column["missing"] for column in report["ingest"]["columns"]}
    assert list(missing) == ["I1", "I2", "C1", "C2", "C3"] and 0 < missing["I1"] < 1
    made = {feature["name"]: feature["operators"] for feature in report["features"]}
    assert made["C1"] == ["categorify"] and made["I1"][-1] == "normalize"
    assert len(evaluate["importance"]["columns"]) == len(evaluate["slices"]["columns"]) == 5
    assert all(sum(h["counts"]) == 3 for h in histograms(serve))
    click_rate = report["ingest"]["click_rate"]["test"]
    groups = evaluate["curves"]["model"]["calibration"]
    assert sum(group["clicks"] for group in groups) == round(2000 * click_rate)


def histograms(serve: dict) -> list[dict]:
    return [
        size["histogram"]
        for models in serve["latency_ms_by_protocol"].values()
        for sizes in models.values()
        for size in sizes.values()
    ]
