"""The content of report.json, from the manifests of a run's stages and its plan."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from plumbline.base.errors import StageError
from plumbline.base.manifest import Manifest
from plumbline.features.plan.plan import Plan, read_plan
from plumbline.features.steps.chains import Chain
from plumbline.stages.run import Run
from plumbline.stages.train import validation_of

_INGEST = (
    "malformed",
    "unmatched",
    "click_rate",
    "left_out",
    "keep_negatives",
    "course",
)
_ETL = (
    "engine",
    "fit_seconds",
    "transform_seconds",
    "rows_per_second",
    "peak_rss_mb",
    "columns",
    "leaks",
    "plan_hash",
    "training_rows_left_out",
)
_TRAIN = (
    "model",
    "precision",
    "samples_per_second",
    "waiting_share",
    "steps",
    "final_loss",
    "best_epoch",
    "bias_shift",
    "loss_curve",
    "learning_rates",
)
_PLANNED = (
    "batch_size",
    "epochs",
    "learning_rate",
    "embedding_learning_rate",
    "early_stopping",
    "patience",
)
_EVALUATE = (
    "bayes_auc",
    "auc_loss",
    "valid",
    "baselines",
    "verdict",
    "curves",
    "importance",
    "slices",
)
_SERVE = (
    "rows_compared",
    "max_abs_score_diff",
    "ids_identical",
    "latency_ms",
    "latency_ms_by_protocol",
)


def report_of(run: Run, folder: Path, stages: Sequence[str]) -> dict[str, Any]:
    """The report of a run whose stages are complete, as JSON values.

    Raises
    ------
    StageError
        A stage was run by an older version, which kept less.
    """
    manifests = {stage: Manifest.read(folder / stage) for stage in stages}
    ingest, etl, train, evaluate, serve = (
        manifests[stage] for stage in ("ingest", "etl", "train", "evaluate", "serve")
    )
    report = {
        "config": run.config.name,
        "rows": {split: ingest.rows[split] for split in ("train", "valid", "test")},
        "ingest": {**_chosen(ingest, _INGEST), "columns": _raw_columns(run, ingest)},
        "features": _features(read_plan(folder / "etl" / "plan")),
        "etl": _chosen(etl, _ETL),
        "train": {
            **_chosen(train, _TRAIN),
            "processes": train.facts.get("processes", 1),
            **{key: train.facts["planned"][key] for key in _PLANNED},
            "epochs_run": len(train.facts["epochs"]),
            "valid": validation_of(train.facts),
            "train_losses": [epoch["train_loss"] for epoch in train.facts["epochs"]],
        },
        "evaluate": {
            **evaluate.facts["test"],
            "precision": evaluate.settings["precision"],
            **_chosen(evaluate, _EVALUATE),
        },
        "append": etl.facts.get("append"),
        "warnings": warnings_of(manifests),
        "serve": _chosen(serve, _SERVE),
        "seconds": {stage: manifest.seconds for stage, manifest in manifests.items()},
        "stages": {stage: _cost(manifest) for stage, manifest in manifests.items()},
        "settings": _settings(run),
        "versions": serve.versions,
        "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    written: dict[str, Any] = json.loads(json.dumps(report, allow_nan=False))
    return written


def warnings_of(manifests: Mapping[str, Manifest]) -> list[str]:
    """The warnings of all stages, in the order of the stages."""
    return [
        f"{stage}: {text}"
        for stage, manifest in manifests.items()
        for text in manifest.facts.get("warnings", ())
    ]


def _chosen(manifest: Manifest, keys: Sequence[str]) -> dict[str, Any]:
    lacking = [key for key in keys if key not in manifest.facts]
    if lacking:
        raise StageError(
            f"Report: stage {manifest.stage} kept no {', '.join(lacking)}: an older Plumbline ran "
            f"it. Run again with --from {manifest.stage}."
        )
    return {key: manifest.facts[key] for key in keys}


def _raw_columns(run: Run, ingest: Manifest) -> list[dict[str, Any]]:
    """Each feature column of the log and the side tables, and its share of missing values."""
    missing = ingest.facts["missing"]
    rows = sum(ingest.facts["course"]["rows"])
    return [
        {"name": name, "kind": kind, "missing": missing[name] / rows}
        for name, kind in run.config.features.items()
    ]


def _features(plan: Plan) -> list[dict[str, Any]]:
    """Each input of the model, and the operators that make it of raw columns."""
    return [
        {
            "name": column.name,
            "dtype": column.dtype,
            "cardinality": column.cardinality if column.is_categorical else None,
            **_tree(column.chain),
        }
        for column in plan.outputs
    ]


def _tree(chain: Chain) -> dict[str, Any]:
    """Sources, each a raw column or again a tree, and the names of the operators on them."""
    return {
        "sources": [one if isinstance(one, str) else _tree(one) for one in chain.sources],
        "operators": [step.op for step in chain.fitted],
    }


def _cost(manifest: Manifest) -> dict[str, Any]:
    """What a stage took, and the hash that tells whether two runs made the same there."""
    rows = sum(manifest.rows.values())
    return {
        "seconds": manifest.seconds,
        "rows": rows,
        "rows_per_second": round(rows / manifest.seconds) if manifest.seconds else None,
        "peak_rss_mb": manifest.facts.get("peak_rss_mb"),
        "hash": manifest.hash,
    }


def _settings(run: Run) -> dict[str, str]:
    """Every setting, dotted key to value as JSON text, and the options of the command line."""
    options = {"engine": run.engine, "model": run.model, "device": run.device}
    chosen = {**run.config.model_dump(mode="json"), "options": options}
    return dict(_flat("", chosen))


def _flat(prefix: str, values: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = []
    for name, value in values.items():
        key = f"{prefix}.{name}" if prefix else name
        if isinstance(value, dict) and value:
            found += _flat(key, value)
        else:
            found.append((key, json.dumps(value, ensure_ascii=False)))
    return found
