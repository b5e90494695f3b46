"""`serving.precision: int8` in a run: quantized by evaluate, exported, and refused by nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from plumbline.dlrm.model.model_card import read_model_card
from plumbline.settings import Config
from plumbline.stages import etl, evaluate, export, ingest, train
from plumbline.stages.run import Run

ROWS = 600


def run_of(folder: Path) -> Run:
    generator = np.random.default_rng(1)
    number, shop = generator.normal(size=ROWS).round(3), generator.integers(0, 9, ROWS)
    click = (generator.random(ROWS) < 1 / (1 + np.exp(-number - (shop > 4)))).astype(int)
    lines = [f"{c},{n},{s}" for c, n, s in zip(click, number, shop, strict=True)]
    (folder / "log.csv").write_text("\n".join(["click,number,shop", *lines]) + "\n")
    columns = {"click": "label", "number": "continuous", "shop": "integer"}
    config = Config.model_validate(
        {
            "name": "tiny",
            "log": {"columns": columns},
            "split": {"by": "rows", "valid": 0.2, "test": 0.2},
            "workflow": {"graph": "standard"},
            "model": {"embedding_dim": 4, "bottom_mlp": [8, 4], "top_mlp": [16]},
            "training": {"batch_size": 32, "precision": "fp32"},
            "serving": {"precision": "int8", "gpu_fused": "bf16"},
        }
    )
    return Run(config, (folder / "log.csv",), "native", "fused", "cpu", None)


def test_evaluate_judges_the_model_that_export_serves(tmp_path: Path) -> None:
    run, folder = run_of(tmp_path), tmp_path / "run"
    for stage in (ingest, etl, train):
        stage.STAGE.ensure(run, folder)
    facts = evaluate.STAGE.ensure(run, folder).manifest.facts
    assert set(facts["auc_loss"]) == {"valid", "test"}
    assert all(abs(loss) < 0.01 for loss in facts["auc_loss"].values())
    scores = pq.read_table(folder / "evaluate" / "test.parquet")["probability"].to_numpy()
    assert len(np.unique(scores)) > 50
    export.STAGE.ensure(run, folder)
    trained = read_model_card(folder / "train" / "model")
    served = folder / "export" / "model_repository" / "ctr_fused" / "1"
    assert read_model_card(served / "model").quantized_from == trained.model_hash
    assert json.loads((served / "manifest.json").read_text())["precision"] == "int8"
    for model, precision in (("ctr_dlrm", "fp32"), ("ctr_fused", "bf16")):
        gpu = folder / "export" / "gpu_model_repository" / model / "1"
        assert read_model_card(gpu / "model") == trained
        assert json.loads((gpu / "manifest.json").read_text())["precision"] == precision
    assert export.release_of(run, folder).card.quantized_from == trained.model_hash
