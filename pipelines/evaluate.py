"""Stage evaluate: offline scores of the valid, test and probe splits, and their metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dlrm.evaluation import read_clicks, score_files
from dlrm.metrics import area_under_curve, click_metrics
from dlrm.scorer import Scorer
from features.errors import StageError
from features.plan import read_plan
from features.settings import FileSplit
from pipelines.command import stage_main
from pipelines.console import console, progress_bar
from pipelines.stage import Finished, Made, RunConfig, Stage, parts

SPLITS = ("valid", "test", "probe")


def settings(run: RunConfig) -> dict[str, Any]:
    return {"splits": list(SPLITS)}


def work(run: RunConfig, inputs: Mapping[str, Finished], out: Path) -> Made:
    etl = inputs["etl"]
    plan = read_plan(etl.folder / "plan")
    scorer = Scorer.load(inputs["train"].folder / "model", plan.content_hash)
    rows = {split: etl.manifest.rows[split] for split in SPLITS}
    metrics: dict[str, Any] = {}
    with progress_bar("scoring", sum(rows.values())) as progress:
        for split in SPLITS:
            files = parts(etl.folder / split)
            probability_B = score_files(scorer, files, progress=progress)
            pq.write_table(pa.table({"probability": probability_B}), out / f"{split}.parquet")
            if split != "probe":
                metrics[split] = asdict(click_metrics(read_clicks(files), probability_B))
    bayes_auc = _bayes_auc(run, inputs)
    test = metrics["test"]
    best = "" if bayes_auc is None else f" (the click model's own: {bayes_auc:.4f})"
    console.print(f"  test AUC {test['auc']:.4f}{best}, log loss {test['logloss']:.4f}")
    return Made(rows, facts={**metrics, "bayes_auc": bayes_auc})


def _bayes_auc(run: RunConfig, inputs: Mapping[str, Finished]) -> float | None:
    """AUC on the test split of the probability that drew the clicks; no model's can be better."""
    split = run.config.split
    if "generate" not in inputs:
        return None
    if not isinstance(split, FileSplit):
        raise StageError(
            f"Configuration {run.config.name!r}: the best reachable AUC of a click model is taken "
            f"over whole days, so it wants split.by 'file', got {split.by!r}."
        )
    drawn = inputs["generate"]
    names = [Path(drawn.manifest.facts["files"][day]).stem for day in split.test]
    days = [drawn.folder / "click_probability" / f"{name}.parquet" for name in names]
    probability_B = np.concatenate([_column(day, "probability") for day in days])
    click_B = read_clicks(parts(inputs["etl"].folder / "test"))
    return area_under_curve(click_B, probability_B)


def _column(file: Path, name: str) -> NDArray[Any]:
    return np.asarray(pq.read_table(file, columns=[name])[name])


def needs(run: RunConfig) -> tuple[str, ...]:
    read = ("etl", "train")
    return read if run.config.click_model is None else (*read, "generate")


STAGE = Stage("evaluate", needs, settings, work)

if __name__ == "__main__":
    stage_main(STAGE, __doc__)
