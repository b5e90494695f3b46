"""Stages on small logs: odd data causes a warning or an error, and the model is judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plumbline.base.errors import DataError, PlumblineError, StageError
from plumbline.base.manifest import Manifest
from plumbline.settings import Config
from plumbline.stages import etl, evaluate, ingest, train
from plumbline.stages.report.contents import warnings_of
from plumbline.stages.run import Run

ROWS = 1500
KINDS = {"x": "continuous", "c": "integer", "s": "string"}


def columns_of(rows: int = ROWS) -> dict[str, np.ndarray]:
    """A log whose clicks depend on all columns."""
    generator = np.random.default_rng(7)
    x, c = generator.normal(size=rows).round(3), generator.integers(0, 8, rows)
    s = generator.choice(["a", "b", "c"], rows)
    logit = 1.5 * x + np.where(c % 2, 1.0, -1.5) + np.where(s == "a", 1.0, -0.5)
    click = (generator.random(rows) < 1 / (1 + np.exp(-logit))).astype(int)
    return {"click": click, "x": x, "c": c, "s": s}


def run_of(folder: Path, columns: dict[str, Any], engine: Any = "native", **settings) -> Run:
    """The first six tenths of the rows are for training."""
    lines = [",".join(columns)]
    lines += [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    log = folder / "log.csv"
    log.write_text("\n".join(lines) + "\n")
    kinds = {name: KINDS.get(name, "continuous") for name in columns if name != "click"}
    config = Config.model_validate(
        {
            "name": "tiny",
            "log": {"columns": {"click": "label", **settings.pop("kinds", kinds)}},
            "split": {"by": "rows", "valid": 0.2, "test": 0.2, **settings.pop("split", {})},
            "workflow": {"graph": "standard", **settings.pop("workflow", {})},
            "model": {"embedding_dim": 4, "bottom_mlp": [8, 4], "top_mlp": [16]},
            "training": {"batch_size": 32, "precision": "fp32", **settings.pop("training", {})},
        }
    )
    assert not settings
    return Run(config, (log,), engine, "fused", "cpu", None)


def facts_of(run: Run, folder: Path, *stages) -> list[dict[str, Any]]:
    return [stage.STAGE.ensure(run, folder / "run").manifest.facts for stage in stages]


def warnings_at_etl(run: Run, folder: Path) -> list[str]:
    return facts_of(run, folder, ingest, etl)[-1]["warnings"]


def is_test(rows: int = ROWS) -> np.ndarray:
    return np.arange(rows) >= 0.8 * rows


def is_train(rows: int = ROWS) -> np.ndarray:
    return np.arange(rows) < 0.6 * rows


def test_a_good_verdict_is_printed_quietly(tmp_path: Path, capfd) -> None:
    columns = columns_of(5000)
    # Clicks depend on a pair of columns, which a linear model cannot learn.
    together = (columns["c"] % 2 == 1) == (columns["s"] == "a")
    noise = np.random.default_rng(8).random(5000) < 0.1
    columns["click"] = (together ^ noise).astype(int)
    run = run_of(tmp_path, columns, training={"epochs": 10, "learning_rate": 3e-3})
    *_, facts = facts_of(run, tmp_path, ingest, etl, train, evaluate)
    assert facts["verdict"]["ok"], facts["verdict"]
    assert facts["verdict"]["advice"] == ()
    lines = capfd.readouterr().err.splitlines()
    assert sum("logistic regression" in line for line in lines) == 1
    assert not any("warning:" in line for line in lines)
    baselines = facts["baselines"]
    assert baselines.keys() == {"constant", "logistic_regression"}
    assert baselines["constant"]["auc"] == 0.5
    assert facts["test"]["logloss"] < baselines["constant"]["logloss"]
    assert 0.5 < baselines["logistic_regression"]["auc"] < facts["test"]["auc"] - 0.1
    assert baselines["logistic_regression"]["seconds"] > 0
    json.dumps(facts)


def test_a_bad_verdict_is_printed_loudly(tmp_path: Path, capfd) -> None:
    run = run_of(tmp_path, columns_of(), training={"batch_size": 1024, "epochs": 1})
    *_, facts = facts_of(run, tmp_path, ingest, etl, train, evaluate)
    verdict = facts["verdict"]
    assert not verdict["ok"]
    assert verdict["text"].startswith("Worse than logistic regression")
    assert any("only 1 steps" in advice for advice in verdict["advice"])
    loud = [line for line in capfd.readouterr().err.splitlines() if "Worse than" in line]
    assert len(loud) == 1 and "batch_size" in loud[0]


def test_baselines_are_the_same_every_time(tmp_path: Path) -> None:
    run = run_of(tmp_path, columns_of(600))
    *_, first = facts_of(run, tmp_path, ingest, etl, train, evaluate)
    again = evaluate.STAGE.ensure(run, tmp_path / "run", force=True).manifest.facts
    for facts in (first, again):
        del facts["baselines"]["logistic_regression"]["seconds"]
        del facts["peak_rss_mb"]
    assert json.loads(json.dumps(first)) == json.loads(json.dumps(again))


def test_baselines_of_a_training_split_with_fewer_negatives(tmp_path: Path) -> None:
    columns = columns_of(6000)
    run = run_of(tmp_path, columns, split={"keep_negatives": 0.25})
    _, encoded, _, evaluated = facts_of(run, tmp_path, ingest, etl, train, evaluate)
    assert encoded["sampled_click_rate"] > 1.5 * encoded["click_rate"]["train"]
    baselines = evaluated["baselines"]
    assert baselines["constant"]["probability"] == encoded["click_rate"]["train"]
    assert 0.9 < baselines["logistic_regression"]["calibration"] < 1.1
    assert not any("click rate" in line for line in encoded["warnings"])


def test_an_evaluation_without_baselines_is_refused(tmp_path: Path) -> None:
    run = run_of(tmp_path, columns_of(600))
    facts_of(run, tmp_path, ingest, etl, train, evaluate)
    folder = tmp_path / "run" / "evaluate"
    manifest = Manifest.read(folder)
    del manifest.settings["baselines"]
    manifest.write(folder)
    with pytest.raises(StageError, match="baselines"):
        evaluate.STAGE.ensure(run, tmp_path / "run")


RAW = {"options": {"normalize": False, "buckets": 0}}
NORMALIZED = {"options": {"normalize": True, "buckets": 0}}
EITHER = "Column 'k' is constant: the same number in every training row, or missing"
ODD_DATA = {
    "a column that leaks the click": (lambda c: {"leak": c["click"] * 2.5}, "'leak' may leak"),
    "constant number": (lambda c: {"k": np.full(ROWS, 3.5)}, "Column 'k' is constant: one value"),
    "all missing": (lambda c: {"k": np.full(ROWS, "")}, EITHER),
    "missing in training": (lambda c: {"k": np.where(is_train(), "", "0.5")}, EITHER),
    "constant number, normalized": (
        lambda c: {"k": np.full(ROWS, 3.5)},
        "Column 'k' is constant",
        NORMALIZED,
    ),
    "missing id": (lambda c: {"s": np.full(ROWS, "")}, "Column 's' is missing in every"),
    "constant id": (lambda c: {"c": np.full(ROWS, 4)}, "Column 'c' is constant"),
    "id of a row": (lambda c: {"c": np.arange(ROWS)}, "Column 'c' is nearly unique"),
    "new values": (lambda c: {"c": c["c"] + 100 * is_test()}, "out of vocabulary in 'c' (100% in"),
    "clicks that drift": (
        lambda c: {"click": c["click"] | (is_test() & (np.arange(ROWS) % 4 > 0))},
        "The click rate is",
    ),
    "far outside": (
        lambda c: {"x": c["x"] * np.where(is_test(), 1e6, 1)},
        "far outside",
        NORMALIZED,
    ),
}


@pytest.mark.parametrize("name", ODD_DATA)
def test_odd_data_causes_one_warning_at_the_etl(tmp_path: Path, capfd, name: str) -> None:
    change, wanted, *workflow = ODD_DATA[name]
    columns = columns_of()
    options = {"workflow": workflow[0]} if workflow else {}
    run = run_of(tmp_path, {**columns, **change(columns)}, **options)
    warnings = warnings_at_etl(run, tmp_path)
    assert sum(wanted in line for line in warnings) == 1, warnings
    lines = [line for line in capfd.readouterr().err.splitlines() if "warning: " in line]
    assert [line.split("warning: ")[1] for line in lines] == warnings


def test_names_with_brackets_are_not_markup(tmp_path: Path, capfd) -> None:
    columns = columns_of()
    odd = {**columns, "[red]k[bold]": np.full(ROWS, 1.0)}
    (line,) = warnings_at_etl(run_of(tmp_path, odd), tmp_path)
    assert "'[red]k[bold]' is constant" in line
    assert "'[red]k[bold]' is constant" in capfd.readouterr().err


NUMBERS_WITHOUT_A_SCORE = {
    "raw and huge": (RAW, lambda c: {"x": c["x"] * 1e30}, "train"),
    "huge in one test row": (RAW, lambda c: {"x": spike(c["x"], ROWS - 1, 3e38)}, "test"),
    "huge in one valid row": (RAW, lambda c: {"x": spike(c["x"], 1000, -1e20)}, "valid"),
    "constant in training": (
        NORMALIZED,
        lambda c: {"x": spike(np.zeros(ROWS), ROWS - 2, 1e25)},
        "test",
    ),
    "missing in training": (
        NORMALIZED,
        lambda c: {"x": np.where(is_train(), "", np.full(ROWS, "2e30"))},
        "valid",
    ),
    "hardly any spread": (
        NORMALIZED,
        lambda c: {"x": spike(np.arange(ROWS) * 1e-38, ROWS - 1, 3e38)},
        "test",
    ),
}


def spike(values: np.ndarray, row: int, value: float) -> np.ndarray:
    changed = values.astype(float)
    changed[row] = value
    return changed


@pytest.mark.parametrize("engine", ["native", "nvtabular"])
@pytest.mark.parametrize("name", NUMBERS_WITHOUT_A_SCORE)
def test_numbers_without_a_score_are_refused_before_training(
    tmp_path: Path, name: str, engine: str
) -> None:
    workflow, change, split = NUMBERS_WITHOUT_A_SCORE[name]
    columns = columns_of()
    run = run_of(tmp_path, {**columns, **change(columns)}, engine, workflow=workflow)
    ingest.STAGE.ensure(run, tmp_path / "run")
    with pytest.raises(DataError) as error:
        etl.STAGE.ensure(run, tmp_path / "run")
    message = str(error.value)
    assert "'x'" in message and split in message and "\n" not in message
    assert "lip" in message or "ill" in message  # clip or fill, at the start of a sentence too
    assert not (tmp_path / "run" / "etl" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("missing", "split"), [(3, "train"), (950, "valid"), (-1, "test"), (None, "probe")]
)
def test_a_graph_that_fills_no_missing_numbers(
    tmp_path: Path, missing: int | None, split: str
) -> None:
    graph = tmp_path / "unfilled.py"
    graph.write_text(
        "from nvtabular import ops\n"
        "def graph(kinds):\n"
        "    return (['x'] >> ops.Normalize()) + (['c', 's'] >> ops.Categorify())\n"
    )
    columns = columns_of()
    columns["x"] = columns["x"].astype(str).astype(object)
    if missing is not None:
        columns["x"][missing] = ""
    run = run_of(tmp_path, columns, workflow={"graph": f"{graph}:graph"})
    ingest.STAGE.ensure(run, tmp_path / "run")
    with pytest.raises(
        DataError, match=rf"'x', row \d+ of the encoded split {split}.* missing .*fill"
    ):
        etl.STAGE.ensure(run, tmp_path / "run")


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("scale", [1e3, 1e6, 1e9, 9e11])
def test_large_numbers_never_end_in_metrics_that_are_nan(
    tmp_path: Path, scale: float, optimizer: str
) -> None:
    columns = columns_of(600)
    columns["x"] = np.clip(columns["x"], -1, 1) * scale
    training = {"optimizer": optimizer, "batch_size": 64}
    run = run_of(tmp_path, columns, workflow=RAW, training=training)
    try:
        *_, facts = facts_of(run, tmp_path, ingest, etl, train, evaluate)
    except PlumblineError as error:  # the model may overflow
        assert "learning_rate" in str(error) and "scores are NaN" not in str(error)
        return
    assert np.isfinite([facts["test"]["logloss"], facts["test"]["calibration"]]).all()
    assert np.isfinite(facts["baselines"]["logistic_regression"]["logloss"])


def test_a_model_out_of_proportion_causes_a_warning_before_training(tmp_path: Path, capfd) -> None:
    columns = {**columns_of(300), **{f"n{i}": np.arange(300) % (i + 2) for i in range(70)}}
    kinds = {
        name: "integer" if name[0] == "n" else KINDS[name] for name in columns if name != "click"
    }
    run = run_of(tmp_path, columns, kinds=kinds, workflow={"options": {"buckets": 0}})
    wide = run.config.model.model_copy(update={"top_mlp": (512,)})
    config = run.config.model_copy(update={"model": wide})
    run = Run(config, run.data, "native", "fused", "cpu", None)
    *_, facts = facts_of(run, tmp_path, ingest, etl, train)
    (line, *rest) = facts["warnings"]
    assert "73 vectors make 2,628 dots" in line and "180 training rows" in line
    text = capfd.readouterr().err
    assert text.index("out of proportion") < text.index("  training: ")
    manifests = {"train": train.STAGE.ensure(run, tmp_path / "run").manifest}
    assert warnings_of(manifests) == [f"train: {text}" for text in (line, *rest)]
