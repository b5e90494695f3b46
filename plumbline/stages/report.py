"""report.json and report.html of a run, from its stages' manifests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import jinja2

from plumbline.base.files import write_json, write_text
from plumbline.base.manifest import Manifest
from plumbline.stages.run import Run
from plumbline.stages.train import validation_of

_TEMPLATE = Path(__file__).parent / "report.html.jinja"

_PLOT_WIDTH, _PLOT_HEIGHT = 640, 180
"""As in the template."""

_ETL = (
    "engine",
    "fit_seconds",
    "transform_seconds",
    "rows_per_second",
    "peak_rss_mb",
    "columns",
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
)
_PLANNED = (
    "batch_size",
    "epochs",
    "learning_rate",
    "embedding_learning_rate",
    "early_stopping",
    "patience",
)
_SHOWN_SETTINGS = ("split", "label", "workflow", "model", "training", "seed")
"""The parts of the configuration that the page shows."""
_SERVE = (
    "rows_compared",
    "max_abs_score_diff",
    "ids_identical",
    "latency_ms",
    "latency_ms_by_protocol",
)


def write_report(run: Run, folder: Path, stages: Sequence[str]) -> Path:
    """Write both files into the run's folder. Returns the path of report.html."""
    report = report_of(run, folder, stages)
    loss_curve = Manifest.read(folder / "train").facts["loss_curve"]
    write_json(folder / "report.json", report)
    page = folder / "report.html"
    write_text(page, _render(report, loss_curve, _shown_settings(run)))
    return page


def report_of(run: Run, folder: Path, stages: Sequence[str]) -> dict[str, Any]:
    manifests = {stage: Manifest.read(folder / stage) for stage in stages}
    ingest, etl, train, evaluate, serve = (
        manifests[stage] for stage in ("ingest", "etl", "train", "evaluate", "serve")
    )
    return {
        "config": run.config.name,
        "rows": {split: ingest.rows[split] for split in ("train", "valid", "test")},
        "ingest": {
            "malformed": ingest.facts["malformed"],
            "unmatched": ingest.facts["unmatched"],
            "click_rate": ingest.facts["click_rate"],
            "left_out": ingest.facts["left_out"],
            "keep_negatives": ingest.facts["keep_negatives"],
        },
        "etl": {
            **{key: etl.facts[key] for key in _ETL},
            "training_rows_left_out": etl.facts.get("training_rows_left_out", 0),
        },
        "train": {
            **{key: train.facts[key] for key in _TRAIN},
            "processes": train.facts.get("processes", 1),
            **{key: train.facts["planned"][key] for key in _PLANNED},
            "epochs_run": len(train.facts["epochs"]),
            "valid": validation_of(train.facts),
        },
        "evaluate": {
            **evaluate.facts["test"],
            "precision": evaluate.settings["precision"],
            "auc_loss": evaluate.facts.get("auc_loss"),
            "bayes_auc": evaluate.facts["bayes_auc"],
            "valid": evaluate.facts["valid"],
            "baselines": evaluate.facts["baselines"],
            "verdict": evaluate.facts["verdict"],
        },
        "append": etl.facts.get("append"),
        "warnings": warnings_of(manifests),
        "serve": {key: serve.facts[key] for key in _SERVE},
        "seconds": {stage: manifest.seconds for stage, manifest in manifests.items()},
        "versions": serve.versions,
        "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def warnings_of(manifests: Mapping[str, Manifest]) -> list[str]:
    """The warnings of all stages, in the order of the stages."""
    return [
        f"{stage}: {text}"
        for stage, manifest in manifests.items()
        for text in manifest.facts.get("warnings", ())
    ]


def _shown_settings(run: Run) -> dict[str, str]:
    """Dotted key to value, as JSON."""
    chosen = run.config.model_dump(mode="json", include=set(_SHOWN_SETTINGS))
    shown: dict[str, str] = {}
    for key in _SHOWN_SETTINGS:
        value = chosen[key]
        rest = value.items() if isinstance(value, dict) else [("", value)]
        for name, one in rest:
            shown[f"{key}.{name}" if name else key] = json.dumps(one, ensure_ascii=False)
    return shown


def _render(
    report: dict[str, Any], loss_curve: list[tuple[int, float]], settings: dict[str, str]
) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATE.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template(_TEMPLATE.name)
    losses = [loss for _, loss in loss_curve]
    return template.render(
        report=report,
        settings=settings,
        curve=_polyline(loss_curve),
        loss_curve=loss_curve,
        lowest=min(losses),
        highest=max(losses),
    )


def _polyline(loss_curve: list[tuple[int, float]]) -> str:
    """SVG points of the curve, scaled to the plot."""
    steps, losses = zip(*loss_curve, strict=True)
    low, spread = min(losses), (max(losses) - min(losses)) or 1.0
    last = max(steps) or 1
    return " ".join(
        f"{_PLOT_WIDTH * step / last:.1f},{_PLOT_HEIGHT * (1 - (loss - low) / spread):.1f}"
        for step, loss in zip(steps, losses, strict=True)
    )
