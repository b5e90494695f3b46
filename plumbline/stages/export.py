"""Stage export: plan and weights as Triton model repositories."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow.dataset import dataset

from plumbline.base.console import warn
from plumbline.features.drift.reference import REFERENCE_FILE
from plumbline.features.plan.plan import read_plan
from plumbline.serving.contract.check_rows import CHECK_ROWS
from plumbline.serving.contract.log_rules import LogRules
from plumbline.serving.contract.versions import Rules
from plumbline.serving.repository.export import REPOSITORY_FOLDER, write_repository
from plumbline.serving.repository.gpu_repository import export_gpu_repository
from plumbline.serving.repository.release import Release
from plumbline.settings import Log, SideTable
from plumbline.stages.finished import Finished, finished_stages
from plumbline.stages.run import Run
from plumbline.stages.served_model import needs_for_served_model, served_model, trained_model
from plumbline.stages.stage import Stage, StageResult, parts


def settings(run: Run) -> dict[str, Any]:
    return run.config.serving.model_dump(mode="json", exclude={"probe_rows", "latency_requests"})


def work(run: Run, inputs: Mapping[str, Finished], out: Path) -> StageResult:
    release = _release(run, inputs)
    repository = out / REPOSITORY_FOLDER
    write_repository(release, repository, run.config.serving)
    export_gpu_repository(repository, run.config.serving, trained_model(inputs))
    return StageResult(facts={"plan_hash": release.plan.content_hash})


def release_of(run: Run, folder: Path) -> Release:
    """The release of a finished run, for publishing; raises StageError if a file has changed."""
    with finished_stages(folder, STAGE.needs(run)) as inputs:
        return _release(run, inputs)


def _release(run: Run, inputs: Mapping[str, Finished]) -> Release:
    return Release.of(
        read_plan(inputs["etl"].path("plan")),
        served_model(run, inputs),
        _check_rows(inputs["ingest"]),
        run.config.serving,
        _rules(inputs["ingest"]),
        _drift(inputs["etl"]),
    )


def _check_rows(ingested: Finished) -> pa.Table:
    """The raw rows that a model is checked with when it is loaded."""
    return dataset(parts(ingested.path("probe"))).head(CHECK_ROWS)


def _drift(etl: Finished) -> Path | None:
    """The reference of drift; None, and a warning, if an older Plumbline ran the stage."""
    if REFERENCE_FILE in etl.manifest.files:
        return etl.path(REFERENCE_FILE)
    warn(
        "stage etl was run by a Plumbline that wrote no reference of drift: the server measures no "
        "drift. Run again with --from etl for it"
    )
    return None


def _rules(ingested: Finished) -> Rules:
    """The settings that stage ingest read the log and its side tables with."""
    settings, facts = ingested.manifest.settings, ingested.manifest.facts
    tables = {name: SideTable.model_validate(t) for name, t in settings["tables"].items()}
    sha256 = facts["read"].get("tables", {})
    return LogRules.of(Log.model_validate(settings["log"]), tables, sha256).to_json()


def needs(run: Run) -> tuple[str, ...]:
    return ("ingest", "etl", *needs_for_served_model(run))


STAGE = Stage("export", needs, settings, work)
