"""Stage generate: Criteo-format logs from a click model, if the configuration has one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plumbline.base.console import progress_bar
from plumbline.base.errors import StageError
from plumbline.rawlogs.click_model import write_logs
from plumbline.settings import ClickModel
from plumbline.stages.finished import Finished
from plumbline.stages.run import Run
from plumbline.stages.stage import Stage, StageResult, reads


def settings(run: Run) -> dict[str, Any]:
    return {
        "click_model": _click_model(run).model_dump(mode="json"),
        "log": run.config.log.model_dump(mode="json"),
        "seed": run.config.seed,
    }


def work(run: Run, inputs: Mapping[str, Finished], out: Path) -> StageResult:
    model = _click_model(run)
    with progress_bar("drawing", model.rows) as progress:
        files = write_logs(model, run.config.log, run.config.seed, out, progress)
    return StageResult(rows={"all": model.rows}, facts={"files": [file.name for file in files]})


def _click_model(run: Run) -> ClickModel:
    if run.config.click_model is None:
        raise StageError(f"Configuration {run.config.name!r} has no click_model to draw logs from.")
    return run.config.click_model


STAGE = Stage("generate", reads(), settings, work)
