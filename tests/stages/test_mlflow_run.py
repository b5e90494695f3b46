"""A finished run in MLflow, where it is installed; a clear error where it is not."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from plumbline.base.errors import PlumblineError
from plumbline.stages.mlflow_run import MlflowRuns
from plumbline.stages.report.events import scalars
from tests.stages.report.sample import report_of


def test_without_mlflow_the_option_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(PlumblineError, match=r"MLflow is not installed.*pip install mlflow"):
        MlflowRuns("sqlite:///nowhere.db")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a finished run, as far as MLflow gets to see it."""
    pytest.importorskip("mlflow", reason="MLflow is not installed")
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "clicks"
    model = folder / "export" / "model_repository" / "ctr_fused"
    model.mkdir(parents=True)
    (model / "config.pbtxt").write_text("name: 'ctr_fused'")
    (folder / "report.html").write_text("<!doctype html>")
    (folder / "report.json").write_text(json.dumps({**report_of(), "config": "clicks"}))
    return folder


@pytest.mark.timeout(400)
def test_parameters_metrics_report_and_model_are_logged(run: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path}/mlflow.db"

    runs = MlflowRuns(uri)
    first, second = runs.log(run), runs.log(run)
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    logged = client.get_run(first)
    assert logged.info.status == "FINISHED" and logged.info.run_name == "clicks"
    assert logged.data.params["training.epochs"] == "5"
    assert logged.data.metrics["test/auc"] == 0.7
    losses = client.get_metric_history(first, "train/loss")
    assert [(one.step, one.value) for one in losses] == [
        (step, value) for name, step, value in scalars(report_of()) if name == "train/loss"
    ]
    names = {one.path for one in client.list_artifacts(first)}
    assert names == {"report.html", "report.json", "model_repository"}
    versions = client.search_model_versions("name = 'clicks'")
    assert {one.run_id for one in versions} == {first, second}
    assert all(one.source.endswith("/model_repository") for one in versions)


@pytest.mark.timeout(400)
def test_a_place_that_is_none_is_refused_before_the_run(run: Path, tmp_path: Path) -> None:
    place = f"sqlite:///{run / 'report.html'}/mlflow.db"
    with pytest.raises(PlumblineError, match=f"--mlflow {place}: "):
        MlflowRuns(place)
