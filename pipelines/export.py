"""Stage export: plan and weights as a Triton model repository."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from features.plan import read_plan
from pipelines.command import stage_main
from pipelines.stage import Finished, Made, RunConfig, Stage, reads
from serving.repository import export_repository


def settings(run: RunConfig) -> dict[str, Any]:
    return run.config.serving.model_dump(mode="json", include={"max_batch_size", "instances"})


def work(run: RunConfig, inputs: Mapping[str, Finished], out: Path) -> Made:
    plan = read_plan(inputs["etl"].folder / "plan")
    export_repository(plan, inputs["train"].folder / "model", out, run.config.serving)
    return Made(facts={"plan_hash": plan.content_hash})


STAGE = Stage("export", reads("etl", "train"), settings, work)

if __name__ == "__main__":
    stage_main(STAGE, __doc__)
