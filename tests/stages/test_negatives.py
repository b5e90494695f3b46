"""Training on fewer negatives: scores are calibrated for all rows, and rank as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plumbline.settings import Config
from plumbline.stages import etl, evaluate, generate, ingest, train
from plumbline.stages.run import Run
from plumbline.stages.stage import Finished

CLICK_RATE = 0.06


def run_of(model: str, engine: str, epochs: int = 8, **split: Any) -> Run:
    config = Config.model_validate(
        {
            "name": "drawn",
            "seed": 3,
            "click_model": {
                "rows": 100_000,
                "days": 3,
                "vocabulary": [40, 100, 5],
                "continuous": 2,
                "click_rate": CLICK_RATE,
            },
            "log": {
                "separator": "\t",
                "header": False,
                "columns": {"label": "label", "I1..I2": "continuous", "C1..C3": "hex"},
            },
            "split": {"by": "file", "valid": [1], "test": [2], **split},
            "workflow": {"graph": "criteo", "options": {"frequency_threshold": 2}},
            "model": {"embedding_dim": 4, "bottom_mlp": [16, 4], "top_mlp": [16]},
            "training": {
                "epochs": epochs,
                "batch_size": 128,
                "precision": "fp32",
                "learning_rate": 3e-3,
                "embedding_learning_rate": 0.1,
            },
        }
    )
    return Run(config, (), engine, model, "cpu", None)  # type: ignore[arg-type]


def evaluated(run: Run, folder: Path) -> dict[str, Finished]:
    stages = (generate, ingest, etl, train, evaluate)
    return {each.STAGE.name: each.STAGE.ensure(run, folder) for each in stages}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Finished]:
    """A run that trains on all rows, in more steps than those on a tenth of the negatives."""
    return evaluated(run_of("fused", "native", epochs=3), tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize(
    ("model", "engine"), [("fused", "native"), ("merlin", "native"), ("fused", "nvtabular")]
)
def test_scores_are_calibrated_for_all_rows(
    tmp_path: Path, whole: dict[str, Finished], model: str, engine: str
) -> None:
    run = run_of(model, engine, keep_negatives=0.1)
    finished = evaluated(run, tmp_path)
    ingested, encoded, expected = (
        stages[name].manifest
        for stages, name in ((finished, "ingest"), (finished, "etl"), (whole, "ingest"))
    )
    facts = ingested.facts
    assert facts["click_rate"] == expected.facts["click_rate"]
    assert facts["click_rate"]["train"] == pytest.approx(CLICK_RATE, rel=0.1)
    assert facts["sampled_click_rate"] > 5 * CLICK_RATE
    assert facts["keep_negatives"] == pytest.approx(0.1, rel=0.1)
    rows, left_out = ingested.rows["train"], facts["left_out"]["negatives"]
    assert rows + left_out == expected.rows["train"]
    assert rows == finished["train"].manifest.rows["train"] < 0.17 * expected.rows["train"]
    for key in ("click_rate", "sampled_click_rate", "keep_negatives"):
        assert encoded.facts[key] == facts[key]
    for split in ("valid", "test"):
        judged = finished["evaluate"].manifest.facts[split]
        reference = whole["evaluate"].manifest.facts[split]
        assert judged["click_rate"] == reference["click_rate"]
        assert judged["calibration"] == pytest.approx(1.0, abs=0.1)
        assert judged["auc"] > reference["auc"] - 0.02
        assert judged["normalized_entropy"] < 1.0
    best = finished["evaluate"].manifest.facts["bayes_auc"]
    assert best == whole["evaluate"].manifest.facts["bayes_auc"]


def test_facts_of_a_run_on_all_rows(whole: dict[str, Finished]) -> None:
    facts = whole["etl"].manifest.facts
    assert facts["keep_negatives"] == 1.0
    assert facts["sampled_click_rate"] == facts["click_rate"]["train"]


def test_the_ingest_prints_how_many_rows_it_leaves_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of("fused", "native", train=[0], valid=[1], test=[2], keep_negatives=0.5)
    generate.STAGE.ensure(run, tmp_path)
    facts = ingest.STAGE.ensure(run, tmp_path).manifest.facts
    printed = " ".join(capsys.readouterr().err.split())
    assert (
        f"left out: {facts['left_out']['negatives']:,} training rows without a click, "
        f"{facts['keep_negatives']:.2%} kept; clicks {facts['click_rate']['train']:.3%} before, "
        f"{facts['sampled_click_rate']:.3%} after"
    ) in printed
    assert "rows that belong to no split" not in printed
