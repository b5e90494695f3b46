"""Stage etl: fit the workflow on the training split, encode every split, write the feature plan."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plumbline.base.console import progress_bar, say, warn
from plumbline.base.file_checks import ListedChecks
from plumbline.base.files import json_sha256
from plumbline.columns.kinds import CLICK
from plumbline.columns.remembered import RememberedRows
from plumbline.columns.rows import Rows, RowSource
from plumbline.dlrm.judgement.columns import SplitSurvey, survey_split
from plumbline.dlrm.judgement.data_warnings import data_warnings
from plumbline.dlrm.judgement.drift import column_drift
from plumbline.dlrm.judgement.leaks import Leaks, find_leaks
from plumbline.features.drift.reference import REFERENCE_FILE
from plumbline.features.drift.training_rows import TrainingRows, reference_of
from plumbline.features.engine.encoded import EtlResult
from plumbline.features.engine.native_engine import NativeEngine
from plumbline.features.fitting.fit import passes
from plumbline.features.plan.plan import OutputColumn, Plan
from plumbline.features.plan.unfitted import unfitted_json
from plumbline.stages import day_score
from plumbline.stages.day_features import finish_day, fit_and_encode, training_rows_of_graph
from plumbline.stages.day_score import score_day
from plumbline.stages.finished import Finished
from plumbline.stages.rows import read_log, row_source, typed_folders
from plumbline.stages.run import PARENT, Run
from plumbline.stages.stage import Stage, StageResult, parts

if TYPE_CHECKING:
    from plumbline.nvtabular.graphs import Graph

CLICK_FACTS = ("click_rate", "sampled_click_rate", "keep_negatives")
"""Facts of the ingest that later stages need: see `plumbline.rawlogs.splits.counts.Counted`."""


def settings(run: Run) -> dict[str, Any]:
    workflow = run.config.workflow
    return {
        "workflow": {**workflow.model_dump(mode="json"), "graph": Path(workflow.graph).name},
        "engine": run.engine,
        "shuffle_seed": _shuffle_seed(run),
        **_append_settings(run),
    }


def _append_settings(run: Run) -> dict[str, Any]:
    """Those of `append`: nothing for a run of its own that says nothing of its statistics."""
    append = run.config.append
    if run.parent is not None:
        keys = {"keep_statistics", "statistics", "replay"}
        return {"append": append.model_dump(mode="json", include=keys)}
    said = append.keep_statistics
    return {} if said is None else {"append": {"keep_statistics": said}}


def derived(run: Run, inputs: Mapping[str, Finished]) -> dict[str, Any]:
    """The hash of the unfitted plan, which changes when the graph is edited."""
    graph = graph_of(run, training_rows_of_graph(inputs))
    return {"graph_sha256": json_sha256(unfitted_json(graph.plan))}


def check_graph(run: Run) -> None:
    """Build and compile the graph before the log is read, which may take long.

    Raises
    ------
    PlumblineError
        See `plumbline.nvtabular.graphs.build`.
    """
    graph_of(run, training_rows=1)


def work(run: Run, inputs: Mapping[str, Finished], out: Path) -> StageResult:
    ingested = inputs["ingest"].manifest
    rows = ingested.rows
    graph = graph_of(run, training_rows_of_graph(inputs))
    total = sum(rows.values()) + _passes(run, graph) * rows["train"]
    day_rows = None if run.parent is None else RememberedRows(row_source(run, inputs))
    before = None if day_rows is None else score_day(run, inputs, day_rows, out)
    with progress_bar("encoding", total) as progress:
        encoded, training = _run_engine(run, graph, inputs, day_rows, out, progress)
    left_out = rows["train"] - encoded.rows["train"]
    if left_out:
        say(
            f"left out: {left_out:,} of {rows['train']:,} training rows, by the graph's Filter and "
            "Dropna; all validation and test rows are kept"
        )
    keep_negatives = ingested.facts["keep_negatives"]
    reference_of(encoded.plan, training, keep_negatives).write(out / REFERENCE_FILE)
    checked = check_encoded_rows(encoded.plan, encoded.rows, ingested.facts["click_rate"], out)
    for text in checked.warnings:
        warn(text)
    seconds = encoded.fit_seconds + encoded.transform_seconds
    facts = {
        "engine": run.engine,
        "plan_hash": encoded.plan.content_hash,
        "fit_seconds": round(encoded.fit_seconds, 3),
        "transform_seconds": round(encoded.transform_seconds, 3),
        "training_rows_left_out": left_out,
        "rows_per_second": round(sum(encoded.rows.values()) / seconds),
        **{key: ingested.facts[key] for key in CLICK_FACTS},
        **asdict(checked),
        "graph_rows": training_rows_of_graph(inputs),
    }
    if before is None:
        return StageResult(encoded.rows, _schema(encoded.plan), facts)
    day = finish_day(run, inputs, encoded, before, out)
    return StageResult({**encoded.rows, **day.rows}, _schema(encoded.plan), facts | day.facts)


@dataclass(frozen=True, slots=True)
class CheckedRows:
    """What a pass over the encoded rows finds: see `plumbline.dlrm.judgement`."""

    columns: list[dict[str, Any]]
    leaks: list[dict[str, Any]]
    """The columns that may leak the click."""
    warnings: list[str]
    check_seconds: float


def check_encoded_rows(
    plan: Plan, rows: Mapping[str, int], click_rate: Mapping[str, float], out: Path
) -> CheckedRows:
    """Describe the encoded columns, and warn of odd ones, in one pass over all splits.

    Parameters
    ----------
    rows, click_rate
        Of each split.

    Raises
    ------
    DataError
        No model can be trained on a number: it is missing, infinite, or too large.
    """
    started = time.perf_counter()
    with progress_bar("checking", sum(rows.values())) as progress:
        surveys = {
            split: survey_split(
                split,
                parts(out / split),
                plan.outputs,
                sampled=split in ("train", "valid"),
                progress=progress,
            )
            for split in rows
        }
    leaks = find_leaks(
        surveys["train"], surveys["valid"], {c.name: c.sources for c in plan.outputs}
    )
    return CheckedRows(
        columns=[_column(column, surveys, leaks) for column in plan.outputs],
        leaks=[asdict(suspect) for suspect in leaks.suspects],
        warnings=data_warnings(plan, surveys, leaks, click_rate),
        check_seconds=round(time.perf_counter() - started, 3),
    )


def _column(
    column: OutputColumn, surveys: Mapping[str, SplitSurvey], leaks: Leaks
) -> dict[str, Any]:
    """Facts of an encoded column. Shares are of its values in the test split.

    `known` is the number of values in the vocabulary, 0 if ids are computed; `drift` is that of
    `plumbline.dlrm.judgement.drift`.
    """
    facts: dict[str, Any] = {"name": column.name, "auc": leaks.auc.get(column.name)}
    facts["drift"] = column_drift(column, surveys)
    if column.is_categorical:
        ids = surveys["test"].ids[column.name]
        shares = {"missing": ids.missing_share, "unseen": ids.unseen_share}
        shares["unseen_in_training"] = surveys["train"].ids[column.name].unseen_share
        sizes = {"cardinality": column.cardinality, "known": column.id_step.known}
        return facts | sizes | shares
    numbers = surveys["train"].numbers[column.name]
    return facts | {"low": numbers.low, "high": numbers.high}


def _passes(run: Run, graph: Graph) -> int:
    """How often the training rows are read to fit the graph."""
    append = run.config.append
    if run.parent is not None and append.statistics == "frozen":
        return 0
    of_plan = passes(graph.plan)
    if run.engine != "nvtabular":
        return of_plan
    from plumbline.nvtabular.fit_progress import passes_of
    from plumbline.nvtabular.patched import patched

    of_workflow = passes_of(patched(graph.workflow))
    return of_workflow + (of_plan if append.keeps_statistics(run.engine) else 0)


def _run_engine(
    run: Run,
    graph: Graph,
    inputs: Mapping[str, Finished],
    day_rows: RowSource | None,
    out: Path,
    progress: Callable[[int], None],
) -> tuple[EtlResult, Rows]:
    """What the engine has written, and some of the raw training rows."""
    if day_rows is not None:
        source = TrainingRows(day_rows)
        result = fit_and_encode(run, inputs, graph.plan, source, out, progress)
        return result, source.sample()
    keeps_statistics = run.config.append.keeps_statistics(run.engine)
    if run.engine == "nvtabular":
        from plumbline.nvtabular.engine import NVTabularEngine

        engine = NVTabularEngine(run.engine_device, run.scheduler)
        splits = typed_folders(inputs["ingest"])
        result = engine.fit_transform(graph.workflow, run.config.features, splits, out, progress)
        source = TrainingRows(row_source(run, inputs))
        if keeps_statistics:
            NativeEngine(graph.plan).learn_statistics(source, out, progress)
        return result, source.sample()
    if run.engine == "spark":
        return _run_spark(run, graph, inputs, out, progress)
    source = TrainingRows(RememberedRows(row_source(run, inputs)))
    result = NativeEngine(graph.plan).fit_transform(
        source, out, progress, _shuffle_seed(run), keep_statistics=keeps_statistics
    )
    return result, source.sample()


def _run_spark(
    run: Run,
    graph: Graph,
    inputs: Mapping[str, Finished],
    out: Path,
    progress: Callable[[int], None],
) -> tuple[EtlResult, Rows]:
    """The files that tasks read are checked by tasks."""
    from plumbline.spark.checks import checked
    from plumbline.spark.engine import SparkEngine
    from plumbline.spark.session import spark_session

    checks = ListedChecks()
    listed = {name: replace(finished, checks=checks) for name, finished in inputs.items()}
    source = row_source(run, listed)
    with spark_session(run.master) as session, checked(session, checks, out):
        result = SparkEngine(graph.plan, session).fit_transform(
            source,
            out,
            progress,
            _shuffle_seed(run),
            keep_statistics=run.config.append.keeps_statistics(run.engine),
        )
        return result, TrainingRows(source).sample()


def graph_of(run: Run, training_rows: int) -> Graph:
    """The configuration's graph for so many training rows."""
    # Imported here because NVTabular takes seconds to import, and only this stage needs it.
    from plumbline.nvtabular.graphs import build

    return build(run.config.workflow, run.config.features, training_rows)


def _shuffle_seed(run: Run) -> int | None:
    """None for the NVTabular engine, which keeps the order of the rows."""
    return None if run.engine == "nvtabular" else run.config.seed


def _schema(plan: Plan) -> list[dict[str, Any]]:
    categorical = [
        {"name": column.name, "dtype": column.dtype, "cardinality": column.cardinality}
        for column in plan.categorical
    ]
    continuous = [{"name": column.name, "dtype": column.dtype} for column in plan.continuous]
    return [*categorical, *continuous, {"name": CLICK, "dtype": "int8"}]


def needs(run: Run) -> tuple[str, ...]:
    if run.parent is not None:
        return (f"{PARENT}ingest", *day_score.needs(run))
    return ("ingest",) if run.config.click_model is None else ("ingest", "generate")


STAGE = Stage("etl", needs, settings, work, derived, read_log)
