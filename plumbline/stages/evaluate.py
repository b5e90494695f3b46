"""Stage evaluate: offline scores of the valid, test and probe splits, their metrics, and a verdict.

The model is compared with what needs no model: the training split's click rate for every row, and a
logistic regression on the same encoded rows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from plumbline.base.console import alarm, approve, console, progress_bar
from plumbline.base.errors import StageError
from plumbline.columns.kinds import CLICK
from plumbline.dlrm.baseline.fitting import fit_logistic_regression
from plumbline.dlrm.baseline.logistic_regression import LogisticRegression
from plumbline.dlrm.judgement.verdict import Evidence, LossDifference, Verdict, judge
from plumbline.dlrm.metrics.click_metrics import ClickMetrics
from plumbline.dlrm.metrics.pair_counts import PairCounts
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.ops.scoring.precision import ScoringPrecision, scoring_precision
from plumbline.dlrm.score.evaluation import RowScorer, column_blocks, scored_by
from plumbline.dlrm.score.scorer import Scorer
from plumbline.features.plan.plan import read_plan
from plumbline.settings import FileSplit
from plumbline.stages.run import Run
from plumbline.stages.stage import Finished, Stage, StageResult, parts
from plumbline.stages.train import validation_of

SPLITS = ("valid", "test", "probe")
JUDGED = ("valid", "test")

BASELINES = ("constant", "logistic_regression")

ROWS_PER_GROUP = 2**20
"""Probabilities that are in memory until they are written."""


def settings(run: Run) -> dict[str, Any]:
    return {
        "splits": list(SPLITS),
        "precision": precision(run),
        "baselines": list(BASELINES),
        "seed": run.config.seed,
    }


def precision(run: Run) -> ScoringPrecision:
    """Of offline scores on this machine: that of the served ones."""
    return scoring_precision(run.config.serving.precision)


def work(run: Run, inputs: Mapping[str, Finished], out: Path) -> StageResult:
    etl, train = inputs["etl"], inputs["train"]
    plan = read_plan(etl.folder / "plan")
    scorer = Scorer.load(train.folder / "model", plan.content_hash, precision=precision(run))
    rate = etl.manifest.facts["click_rate"]["train"]
    baseline = fit_baseline(run, etl, scorer.architecture, rate)
    judged: dict[str, _Judged] = {}
    rows = {split: etl.manifest.rows[split] for split in SPLITS}
    with progress_bar("scoring", sum(rows.values())) as progress:
        for split in SPLITS:
            files = parts(etl.folder / split)
            if split in JUDGED:
                judged[split] = _Judged.empty(rate, out)
            scorers: list[RowScorer] = [scorer]
            if split in JUDGED:
                scorers.append(baseline.regression)
            with (
                closing(scored_by(scorers, scorer.architecture, files)) as blocks,
                _ProbabilityFile(out / f"{split}.parquet") as file,
            ):
                for click_B, scores in blocks:
                    file.write(scores[0])
                    if split in JUDGED:
                        judged[split].add(click_B, scores)
                    progress(len(click_B))
    metrics = {split: asdict(of_split.model.result()) for split, of_split in judged.items()}
    verdict = judge(evidence_of(judged, rate, etl, train))
    reachable = bayes_auc(run, inputs, out)
    test = metrics["test"]
    best = "" if reachable is None else f" (the click model's own: {reachable:.4f})"
    console.print(f"  test AUC {test['auc']:.4f}{best}, log loss {test['logloss']:.4f}")
    _report(verdict)
    facts = {
        **metrics,
        "bayes_auc": reachable,
        "baselines": baselines_of(judged, baseline),
        "verdict": asdict(verdict),
    }
    return StageResult(rows, facts=facts)


@dataclass(frozen=True, slots=True)
class _Baseline:
    """The fitted regression, its passes over the rows, and its seconds."""

    regression: LogisticRegression
    passes: int
    seconds: float


def fit_baseline(run: Run, etl: Finished, architecture: Architecture, rate: float) -> _Baseline:
    """A logistic regression on the training split."""
    started = time.perf_counter()
    with progress_bar("baseline", None) as progress:
        fitted = fit_logistic_regression(
            architecture,
            parts(etl.folder / "train"),
            parts(etl.folder / "valid"),
            seed=run.config.seed,
            click_rate=rate,
            logit_offset=math.log(1.0 / etl.manifest.facts["keep_negatives"]),
            progress=progress,
        )
    return _Baseline(fitted.regression, fitted.passes, time.perf_counter() - started)


@dataclass(frozen=True, slots=True)
class _Judged:
    """Metrics of one split, of the model and of both baselines."""

    model: ClickMetrics
    constant: ClickMetrics
    regression: ClickMetrics
    difference: LossDifference
    rate: float

    @classmethod
    def empty(cls, rate: float, folder: Path) -> _Judged:
        model, constant, regression = (ClickMetrics(folder=folder) for _ in range(3))
        return cls(model, constant, regression, LossDifference(), rate)

    def add(self, click_B: NDArray[np.float32], scores: Sequence[NDArray[np.float32]]) -> None:
        """`scores` are the model's and the regression's."""
        self.model.add(click_B, scores[0])
        self.constant.add(click_B, np.full(len(click_B), self.rate))
        self.regression.add(click_B, scores[1])
        self.difference.add(click_B, scores[0], scores[1])


def evidence_of(
    judged: Mapping[str, _Judged], rate: float, etl: Finished, train: Finished
) -> Evidence:
    valid, test = judged["valid"], judged["test"]
    facts = train.manifest.facts
    warnings = [*etl.manifest.facts.get("warnings", ()), *facts.get("warnings", ())]
    return Evidence(
        test=test.model.result(),
        constant=test.constant.result(),
        regression=test.regression.result(),
        difference=test.difference.result(),
        valid=valid.model.result(),
        valid_regression=valid.regression.result(),
        train_click_rate=rate,
        steps=facts["steps"],
        final_loss=facts["final_loss"],
        valid_losses=tuple(metrics["logloss"] for metrics in validation_of(facts)),
        data_warnings=len(warnings),
    )


def baselines_of(judged: Mapping[str, _Judged], baseline: _Baseline) -> dict[str, Any]:
    """Each baseline's metrics of the test split, and of the validation split inside."""
    test, valid = judged["test"], judged["valid"]
    return {
        "constant": {
            **asdict(test.constant.result()),
            "probability": test.rate,
            "valid": asdict(valid.constant.result()),
        },
        "logistic_regression": {
            **asdict(test.regression.result()),
            "passes": baseline.passes,
            "seconds": round(baseline.seconds, 3),
            "valid": asdict(valid.regression.result()),
        },
    }


def _report(verdict: Verdict) -> None:
    """One line: quiet where all is well, loud where it is not."""
    if verdict.ok:
        approve(verdict.text)
    else:
        alarm(" ".join([verdict.text, *verdict.advice]))


def bayes_auc(run: Run, inputs: Mapping[str, Finished], out: Path) -> float | None:
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


def needs(run: Run) -> tuple[str, ...]:
    read = ("etl", "train")
    return read if run.config.click_model is None else (*read, "generate")


STAGE = Stage("evaluate", needs, settings, work)
