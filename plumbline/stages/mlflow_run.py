"""A finished run in MLflow: parameters, metrics by step, report and model; the model registered.

MLflow is not in the environment: it is imported when `--mlflow` asks for it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plumbline.base.errors import PlumblineError
from plumbline.base.json_text import read_json
from plumbline.base.printable import one_line
from plumbline.stages.report.events import scalars

if TYPE_CHECKING:
    from mlflow import MlflowClient

LONGEST_VALUE = 6000
"""Characters of a parameter's value that MLflow keeps."""

PARAMETERS_AT_ONCE, METRICS_AT_ONCE = 100, 1000
"""What MLflow takes in one request."""

MODEL_FOLDER = "model_repository"


class MlflowRuns:
    """The runs of one tracking server, or of a folder or database that MLflow writes itself.

    Raises
    ------
    PlumblineError
        MLflow is not installed, or the place does not answer. It is asked at once, since a run may
        take hours.
    """

    def __init__(self, uri: str) -> None:
        try:
            from mlflow import MlflowClient
        except ImportError as error:
            raise PlumblineError(
                f"--mlflow {uri}: MLflow is not installed ({error}). Install it into this "
                "environment with pip install mlflow, or leave the option out."
            ) from None
        self._uri = uri
        with self._errors():
            self._client: MlflowClient = MlflowClient(tracking_uri=uri, registry_uri=uri)
            self._client.search_experiments(max_results=1)

    def log(self, folder: Path) -> str:
        """Log the finished run in this folder, by its configuration's name; returns MLflow's id."""
        report = read_json(folder / "report.json")
        with self._errors():
            run = self._client.create_run(self._experiment(report["config"]), run_name=folder.name)
            run_id: str = run.info.run_id
            self._log_values(run_id, report)
            for name in ("report.html", "report.json"):
                self._client.log_artifact(run_id, str(folder / name))
            model = folder / "export" / MODEL_FOLDER
            self._client.log_artifacts(run_id, str(model), MODEL_FOLDER)
            self._client.set_terminated(run_id)
            self._register(report["config"], run_id)
        return run_id

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        experiment: str = (
            self._client.create_experiment(name) if found is None else found.experiment_id
        )
        return experiment

    def _log_values(self, run_id: str, report: Mapping[str, Any]) -> None:
        from mlflow.entities import Metric, Param

        parameters = [
            Param(_key(key), value[:LONGEST_VALUE]) for key, value in report["settings"].items()
        ]
        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, step, value in scalars(report)]
        for start in range(0, len(parameters), PARAMETERS_AT_ONCE):
            some = parameters[start : start + PARAMETERS_AT_ONCE]
            self._client.log_batch(run_id, params=some)
        for start in range(0, len(metrics), METRICS_AT_ONCE):
            self._client.log_batch(run_id, metrics=metrics[start : start + METRICS_AT_ONCE])

    def _register(self, name: str, run_id: str) -> None:
        """Add the run's model as a new version of the model that has the configuration's name."""
        model = _key(name).replace("/", "_")
        if not self._client.search_registered_models(f"name = '{model}'"):
            self._client.create_registered_model(model)
        source = f"{self._client.get_run(run_id).info.artifact_uri}/{MODEL_FOLDER}"
        self._client.create_model_version(model, source, run_id)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from mlflow.exceptions import MlflowException

        try:
            yield
        except (MlflowException, OSError) as error:
            raise PlumblineError(
                f"--mlflow {self._uri}: {one_line(str(error), 300)}. The run itself is complete up "
                "to what its folder has; the same command logs it when MLflow answers."
            ) from error


def _key(name: str) -> str:
    """A name that MLflow takes: letters, digits and a few signs; others become underscores."""
    return "".join(c if c.isalnum() or c in "_-./ " else "_" for c in name)
