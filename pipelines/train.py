"""Stage train: the Merlin dataloader feeds the DLRM; goes on from its last checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dlrm.architecture import Architecture
from features.plan import read_plan
from pipelines.command import stage_main
from pipelines.console import progress_bar
from pipelines.stage import Finished, Made, RunConfig, Stage, parts, reads


def settings(run: RunConfig) -> dict[str, Any]:
    chosen = run.config.model_dump(mode="json", include={"model", "training", "seed"})
    return {**chosen, "form": run.model}


def work(run: RunConfig, inputs: Mapping[str, Finished], out: Path) -> Made:
    # Imported here because Merlin takes seconds to import, and only this work needs it.
    from dlrm.training import train
    from workflows.merlin_data import merlin_dataset, merlin_schema

    etl, config = inputs["etl"], run.config
    plan = read_plan(etl.folder / "plan")
    architecture = Architecture.of(plan, config.model)
    rows = etl.manifest.rows["train"] * config.training.epochs
    with progress_bar("training", rows) as progress:
        made = train(
            architecture,
            config.training,
            seed=config.seed,
            device=run.device,
            schema=merlin_schema(plan),
            make_dataset=lambda files: merlin_dataset(files, plan, run.device),
            train_files=parts(etl.folder / "train"),
            valid_files=parts(etl.folder / "valid"),
            out=out,
            plan_hash=plan.content_hash,
            progress=progress,
        )
    shutil.rmtree(out / "checkpoint")  # the model is complete, so nothing is left to resume
    facts = {
        "model": run.model,
        "samples_per_second": round(made.samples_per_second),
        "steps": made.steps,
        "final_loss": made.final_loss,
        "loss_curve": made.loss_curve,
        "valid": [asdict(metrics) for metrics in made.valid],
    }
    return Made({"train": etl.manifest.rows["train"]}, facts=facts)


STAGE = Stage("train", reads("etl"), settings, work)

if __name__ == "__main__":
    stage_main(STAGE, __doc__)
