"""Stage export: plan and weights as Triton model repositories."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow.dataset import dataset

from plumbline.features.plan.plan import read_plan
from plumbline.serving.contract.check_rows import CHECK_ROWS
from plumbline.serving.contract.log_rules import LogRules
from plumbline.serving.contract.versions import Rules
from plumbline.serving.repository.export import export_repository
from plumbline.serving.repository.gpu_repository import export_gpu_repository
from plumbline.serving.repository.release import Release
from plumbline.settings import Log, SideTable
from plumbline.stages.run import Run
from plumbline.stages.stage import Finished, Stage, StageResult, finished, parts, reads


def settings(run: Run) -> dict[str, Any]:
    return run.config.serving.model_dump(mode="json", exclude={"probe_rows", "latency_requests"})


def work(run: Run, inputs: Mapping[str, Finished], out: Path) -> StageResult:
    plan = read_plan(inputs["etl"].folder / "plan")
    rows = _first_rows(inputs["ingest"].folder / "probe")
    model_folder = inputs["train"].folder / "model"
    rules = _rules(inputs["ingest"])
    repository = export_repository(plan, model_folder, out, run.config.serving, rows, rules)
    export_gpu_repository(repository, run.config.serving)
    return StageResult(facts={"plan_hash": plan.content_hash})


def _first_rows(probe: Path) -> pa.Table:
    """Raw rows that every served version is checked on."""
    return dataset(parts(probe)).head(CHECK_ROWS)


def _rules(ingested: Finished) -> Rules:
    """How the stage ingest read the log and its side tables."""
    settings, facts = ingested.manifest.settings, ingested.manifest.facts
    tables = {name: SideTable.model_validate(form) for name, form in settings["tables"].items()}
    sha256 = facts["read"].get("tables", {})
    return LogRules.of(Log.model_validate(settings["log"]), tables, sha256).to_json()


STAGE = Stage("export", reads("ingest", "etl", "train"), settings, work)


def release_of(run: Run, folder: Path) -> Release:
    """What the export of the run's folder was made from: a version that can be published."""
    return Release.of(
        read_plan(finished(folder, "etl").folder / "plan"),
        finished(folder, "train").folder / "model",
        _first_rows(finished(folder, "ingest").folder / "probe"),
        run.config.serving,
        _rules(finished(folder, "ingest")),
    )
