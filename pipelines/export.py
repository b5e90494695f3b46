"""Stage export: plan and weights as a Triton model repository."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow.dataset import dataset

from features.plan import read_plan
from pipelines.command import stage_main
from pipelines.stage import Finished, Made, RunConfig, Stage, parts, reads
from serving.check_rows import CHECK_ROWS
from serving.repository import export_repository


def settings(run: RunConfig) -> dict[str, Any]:
    return run.config.serving.model_dump(mode="json", exclude={"probe_rows", "latency_requests"})


def work(run: RunConfig, inputs: Mapping[str, Finished], out: Path) -> Made:
    plan = read_plan(inputs["etl"].folder / "plan")
    rows = _first_rows(inputs["ingest"].folder / "probe")
    export_repository(plan, inputs["train"].folder / "model", out, run.config.serving, rows)
    return Made(facts={"plan_hash": plan.content_hash})


def _first_rows(probe: Path) -> pa.Table:
    """Raw rows that every served version is checked on."""
    return dataset(parts(probe)).head(CHECK_ROWS)


STAGE = Stage("export", reads("ingest", "etl", "train"), settings, work)

if __name__ == "__main__":
    stage_main(STAGE, __doc__)
