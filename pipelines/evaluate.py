"""Stage evaluate: offline scores of the valid, test and probe splits, and their metrics."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dlrm.click_metrics import ClickMetrics
from dlrm.evaluation import column_blocks, scored
from dlrm.pair_counts import PairCounts
from dlrm.scoring.scorer import Scorer
from dlrm.scoring.scoring_precision import ScoringPrecision, resolve_precision
from features.columns import CLICK
from features.errors import StageError
from features.plan import read_plan
from features.settings import FileSplit
from pipelines.command import stage_main
from pipelines.console import console, progress_bar
from pipelines.stage import Finished, Made, RunConfig, Stage, parts

SPLITS = ("valid", "test", "probe")

ROWS_PER_GROUP = 2**20
"""Probabilities that are in memory until they are written."""


def settings(run: RunConfig) -> dict[str, Any]:
    return {"splits": list(SPLITS), "precision": precision(run)}


def precision(run: RunConfig) -> ScoringPrecision:
    """Of offline scores on this machine: that of the served ones."""
    return resolve_precision(run.config.serving.precision)


def work(run: RunConfig, inputs: Mapping[str, Finished], out: Path) -> Made:
    etl = inputs["etl"]
    plan = read_plan(etl.folder / "plan")
    model = inputs["train"].folder / "model"
    scorer = Scorer.load(model, plan.content_hash, precision=precision(run))
    rows = {split: etl.manifest.rows[split] for split in SPLITS}
    metrics: dict[str, Any] = {}
    with progress_bar("scoring", sum(rows.values())) as progress:
        for split in SPLITS:
            judged = ClickMetrics(folder=out)
            with (
                closing(scored(scorer, parts(etl.folder / split))) as blocks,
                _ProbabilityFile(out / f"{split}.parquet") as file,
            ):
                for click_B, probability_B in blocks:
                    file.write(probability_B)
                    if split != "probe":
                        judged.add(click_B, probability_B)
                    progress(len(probability_B))
            if split != "probe":
                metrics[split] = asdict(judged.result())
    reachable = bayes_auc(run, inputs, out)
    test = metrics["test"]
    best = "" if reachable is None else f" (the click model's own: {reachable:.4f})"
    console.print(f"  test AUC {test['auc']:.4f}{best}, log loss {test['logloss']:.4f}")
    return Made(rows, facts={**metrics, "bayes_auc": reachable})


def bayes_auc(run: RunConfig, inputs: Mapping[str, Finished], out: Path) -> float | None:
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
    clicks = column_blocks(parts(inputs["etl"].folder / "test"), CLICK)
    probabilities = column_blocks(days, "probability")
    pairs = PairCounts(folder=out)
    for click_B, probability_B in zip_longest(clicks, probabilities, fillvalue=np.empty(0)):
        pairs.add(click_B, probability_B)
    return pairs.area()


class _ProbabilityFile:
    """A Parquet file of one column `probability`, float32, that is written block after block."""

    def __init__(self, file: Path) -> None:
        self._writer = pq.ParquetWriter(file, pa.schema([("probability", pa.float32())]))
        self._held: list[NDArray[np.float32]] = []

    def write(self, probability_B: NDArray[np.float32]) -> None:
        self._held.append(probability_B)
        if sum(map(len, self._held)) >= ROWS_PER_GROUP:
            self._flush()

    def __enter__(self) -> _ProbabilityFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self._held:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        column = pa.array(np.concatenate(self._held))
        self._writer.write_table(pa.table({"probability": column}))
        self._held = []


def needs(run: RunConfig) -> tuple[str, ...]:
    read = ("etl", "train")
    return read if run.config.click_model is None else (*read, "generate")


STAGE = Stage("evaluate", needs, settings, work)

if __name__ == "__main__":
    stage_main(STAGE, __doc__)
