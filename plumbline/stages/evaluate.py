"""Stage evaluate: offline scores of the valid, test and probe splits, their metrics, and a verdict.

The model is compared with two baselines: the training split's click rate for every row, and a
logistic regression on the same encoded rows. With `serving.precision: int8` the trained model is
quantized first, and compared with itself in float32.
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

from plumbline.base.console import alarm, approve, progress_bar, say
from plumbline.base.errors import StageError
from plumbline.columns.kinds import CLICK
from plumbline.dlrm.baseline.fitting import fit_logistic_regression
from plumbline.dlrm.baseline.logistic_regression import LogisticRegression
from plumbline.dlrm.judgement.scored_rows import RowSample
from plumbline.dlrm.judgement.verdict import Evidence, LossDifference, Verdict, judge
from plumbline.dlrm.metrics.click_metrics import ClickMetrics
from plumbline.dlrm.metrics.pair_counts import PairCounts
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.score.evaluation import RowScorer, column_blocks, scored_by
from plumbline.dlrm.score.quantized_model import write_quantized_model
from plumbline.dlrm.score.scorer import Scorer
from plumbline.features.plan.plan import read_plan
from plumbline.settings import FileSplit
from plumbline.stages.finished import Finished
from plumbline.stages.quality import curves_by_model, importance_and_slices
from plumbline.stages.run import Run
from plumbline.stages.served_model import INT8_FOLDER, precision, trained_model
from plumbline.stages.stage import Stage, StageResult, parts
from plumbline.stages.train import validation_of

SPLITS = ("valid", "test", "probe")
JUDGED = ("valid", "test")

BASELINES = ("constant", "logistic_regression")

ROWS_PER_GROUP = 2**20
"""Probabilities that are collected in memory before they are written."""


def settings(run: Run) -> dict[str, Any]:
    return {
        "splits": list(SPLITS),
        "precision": precision(run),
        "baselines": list(BASELINES),
        "seed": run.config.seed,
    }


def work(run: Run, inputs: Mapping[str, Finished], out: Path) -> StageResult:
    etl, train = inputs["etl"], inputs["train"]
    plan = read_plan(etl.path("plan"))
    model = trained = trained_model(inputs)
    is_quantized = precision(run) == "int8"
    if is_quantized:
        model = out / INT8_FOLDER
        write_quantized_model(trained, model)
    scorer = Scorer.load(model, plan.content_hash, precision=precision(run))
    rate = etl.manifest.facts["click_rate"]["train"]
    baseline = fit_baseline(run, etl, scorer.architecture, rate)
    compared: list[RowScorer] = [baseline.regression]
    if is_quantized:
        compared.append(Scorer.load(trained, plan.content_hash))
    judged: dict[str, _SplitMetrics] = {}
    sample = RowSample(scorer, scorer.architecture, etl.manifest.rows["test"])
    rows = {split: etl.manifest.rows[split] for split in SPLITS}
    with progress_bar("scoring", sum(rows.values())) as progress:
        for split in SPLITS:
            files = parts(etl.path(split))
            if split in JUDGED:
                judged[split] = _SplitMetrics.empty(rate, out)
            first: RowScorer = sample if split == "test" else scorer
            scorers = [first, *compared] if split in JUDGED else [first]
            with (
                closing(scored_by(scorers, scorer.architecture, files)) as blocks,
                _ProbabilityFile(out / f"{split}.parquet") as file,
            ):
                for click_B, scores in blocks:
                    file.write(scores[0])
                    if split in JUDGED:
                        judged[split].add(click_B, scores)
                    if split == "test":
                        sample.add_clicks(click_B)
                    progress(len(click_B))
    metrics = {split: asdict(collected.model.result()) for split, collected in judged.items()}
    verdict = judge(evidence_of(judged, rate, etl, train))
    best_auc = bayes_auc(run, inputs, out)
    test = metrics["test"]
    best = "" if best_auc is None else f" (the click model's own: {best_auc:.4f})"
    say(f"  test AUC {test['auc']:.4f}{best}, log loss {test['logloss']:.4f}")
    _report(verdict)
    auc_loss = auc_loss_of(judged) if is_quantized else None
    if auc_loss is not None:
        say(f"  int8 costs {auc_loss['test']:.6f} of the test AUC")
    facts = {
        **metrics,
        "auc_loss": auc_loss,
        "bayes_auc": best_auc,
        "baselines": baselines_of(judged, baseline),
        "verdict": asdict(verdict),
        "curves": curves_by_model(
            {"model": judged["test"].model.pairs, "regression": judged["test"].regression.pairs}
        ),
        **importance_and_slices(
            plan,
            scorer,
            scorer.architecture,
            sample.rows(),
            etl.manifest.facts["columns"],
            scored=sum(rows.values()),
            seed=run.config.seed,
        ),
    }
    return StageResult(rows, facts=facts)


@dataclass(frozen=True, slots=True)
class _Baseline:
    """The fitted regression, its passes over the rows, and the seconds of the fit."""

    regression: LogisticRegression
    passes: int
    seconds: float


def fit_baseline(run: Run, etl: Finished, architecture: Architecture, rate: float) -> _Baseline:
    """A logistic regression on the training split."""
    started = time.perf_counter()
    with progress_bar("baseline", None) as progress:
        fitted = fit_logistic_regression(
            architecture,
            parts(etl.path("train")),
            parts(etl.path("valid")),
            seed=run.config.seed,
            click_rate=rate,
            logit_offset=math.log(1.0 / etl.manifest.facts["keep_negatives"]),
            progress=progress,
        )
    return _Baseline(fitted.regression, fitted.passes, time.perf_counter() - started)


@dataclass(frozen=True, slots=True)
class _SplitMetrics:
    """Metrics of one split, for the model, both baselines, and the model before quantization."""

    model: ClickMetrics
    constant: ClickMetrics
    regression: ClickMetrics
    trained: ClickMetrics
    difference: LossDifference
    rate: float

    @classmethod
    def empty(cls, rate: float, folder: Path) -> _SplitMetrics:
        model, constant, regression, trained = (ClickMetrics(folder=folder) for _ in range(4))
        return cls(model, constant, regression, trained, LossDifference(), rate)

    def add(self, click_B: NDArray[np.float32], scores: Sequence[NDArray[np.float32]]) -> None:
        """`scores` are the model's, the regression's, and the trained model's if it is another."""
        self.model.add(click_B, scores[0])
        self.constant.add(click_B, np.full(len(click_B), self.rate))
        self.regression.add(click_B, scores[1])
        for probability_B in scores[2:]:
            self.trained.add(click_B, probability_B)
        self.difference.add(click_B, scores[0], scores[1])


def evidence_of(
    judged: Mapping[str, _SplitMetrics], rate: float, etl: Finished, train: Finished
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


def baselines_of(judged: Mapping[str, _SplitMetrics], baseline: _Baseline) -> dict[str, Any]:
    """Each baseline's metrics on the test split; under `valid`, those on the validation split."""
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


def auc_loss_of(judged: Mapping[str, _SplitMetrics]) -> dict[str, float]:
    """The AUC in float32 less the quantized model's, of each split."""
    return {
        split: metrics.trained.result().auc - metrics.model.result().auc
        for split, metrics in judged.items()
    }


def _report(verdict: Verdict) -> None:
    """Print one line: quiet for a good verdict, loud for a bad one."""
    if verdict.ok:
        approve(verdict.text)
    else:
        alarm(" ".join([verdict.text, *verdict.advice]))


def bayes_auc(run: Run, inputs: Mapping[str, Finished], out: Path) -> float | None:
    """The best AUC that any model can reach on the test split: that of the drawn probabilities.

    None for a log that was not drawn from a click model.
    """
    split = run.config.split
    if "generate" not in inputs:
        return None
    if not isinstance(split, FileSplit):
        raise StageError(
            f"Configuration {run.config.name!r}: a log from a click model is split by whole days: "
            f"wanted split.by 'file', got {split.by!r}."
        )
    drawn = inputs["generate"]
    names = [Path(drawn.manifest.facts["files"][day]).stem for day in split.test]
    days = [drawn.path(f"click_probability/{name}.parquet") for name in names]
    clicks = column_blocks(parts(inputs["etl"].path("test")), CLICK)
    probabilities = column_blocks(days, "probability")
    pairs = PairCounts(folder=out)
    for click_B, probability_B in zip_longest(clicks, probabilities, fillvalue=np.empty(0)):
        pairs.add(click_B, probability_B)
    return pairs.area()


class _ProbabilityFile:
    """A Parquet file of one float32 column, `probability`, written block by block."""

    def __init__(self, file: Path) -> None:
        self._writer = pq.ParquetWriter(file, pa.schema([("probability", pa.float32())]))
        self._pending: list[NDArray[np.float32]] = []

    def write(self, probability_B: NDArray[np.float32]) -> None:
        self._pending.append(probability_B)
        if sum(map(len, self._pending)) >= ROWS_PER_GROUP:
            self._flush()

    def __enter__(self) -> _ProbabilityFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self._pending:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        column = pa.array(np.concatenate(self._pending))
        self._writer.write_table(pa.table({"probability": column}))
        self._pending = []


def needs(run: Run) -> tuple[str, ...]:
    read = ("etl", "train")
    return read if run.config.click_model is None else (*read, "generate")


STAGE = Stage("evaluate", needs, settings, work)
