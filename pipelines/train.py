"""Stage train: a feed of encoded rows trains the DLRM; goes on from its last checkpoint."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrm.architecture import Architecture
from features.plan import Plan, read_plan
from pipelines.command import stage_main
from pipelines.console import console, progress_bar
from pipelines.stage import Finished, Made, RunConfig, Stage, parts, reads

if TYPE_CHECKING:
    from dlrm.feeds.feed import Feed
    from dlrm.training import Form


def settings(run: RunConfig) -> dict[str, Any]:
    chosen = run.config.model_dump(mode="json", include={"model", "training", "seed"})
    return {**chosen, "form": run.model}


def work(run: RunConfig, inputs: Mapping[str, Finished], out: Path) -> Made:
    from dlrm.training import train  # torch takes seconds to import, and only this work needs it

    etl, config = inputs["etl"], run.config
    plan = read_plan(etl.folder / "plan")
    architecture = Architecture.of(plan, config.model)
    offset = math.log(1.0 / etl.manifest.facts["keep_negatives"])
    form = form_of(run, plan, architecture, offset)
    rows = etl.manifest.rows["train"] * config.training.epochs
    with progress_bar("training", rows) as progress:
        made = train(
            form,
            feed_of(run, plan, architecture, parts(etl.folder / "train")),
            config.training,
            seed=config.seed,
            valid_files=parts(etl.folder / "valid"),
            out=out,
            plan_hash=plan.content_hash,
            progress=progress,
        )
    shutil.rmtree(out / "checkpoint")  # the model is complete, so nothing is left to resume
    console.print(
        f"  {made.samples_per_second:,.0f} samples/s in {form.precision}, "
        f"{made.waiting_share:.1%} of the time waiting for data"
    )
    facts = {
        "model": run.model,
        "precision": form.precision,
        "samples_per_second": round(made.samples_per_second),
        "waiting_share": round(made.waiting_share, 4),
        "steps": made.steps,
        "final_loss": made.final_loss,
        "loss_curve": made.loss_curve,
        "valid": [asdict(metrics) for metrics in made.valid],
    }
    return Made({"train": etl.manifest.rows["train"]}, facts=facts)


def form_of(run: RunConfig, plan: Plan, architecture: Architecture, logit_offset: float) -> Form:
    training, seed, device = run.config.training, run.config.seed, run.device
    if run.model == "fused":
        from dlrm.fused import FusedForm

        return FusedForm(architecture, training, seed, device, logit_offset)
    # Merlin takes seconds to import.
    from dlrm.merlin_form import MerlinForm
    from workflows.merlin_data import merlin_schema

    return MerlinForm(architecture, training, seed, device, merlin_schema(plan), logit_offset)


def feed_of(run: RunConfig, plan: Plan, architecture: Architecture, files: Sequence[Path]) -> Feed:
    """On a GPU the Merlin dataloader; on a CPU a reader of our own, which is faster there."""
    batch_size = run.config.training.batch_size
    if run.device == "cpu":
        from dlrm.feeds.parquet_feed import ParquetFeed

        return ParquetFeed(files, architecture, batch_size)
    from dlrm.feeds.merlin_feed import MerlinFeed
    from workflows.merlin_data import merlin_dataset

    return MerlinFeed(merlin_dataset(files, plan, run.device), architecture, batch_size, run.device)


STAGE = Stage("train", reads("etl"), settings, work)

if __name__ == "__main__":
    stage_main(STAGE, __doc__)
