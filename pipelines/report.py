"""report.json and report.html of a run, from its stages' manifests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from features.files import write_json, write_text
from pipelines.stage import RunConfig, finished

_TEMPLATE = Path(__file__).parent / "report.html.jinja"

_ETL = ("engine", "fit_seconds", "transform_seconds", "rows_per_second", "peak_rss_mb")
_TRAIN = ("model", "precision", "samples_per_second", "waiting_share", "steps", "final_loss")
_SERVE = (
    "rows_compared",
    "max_abs_score_diff",
    "ids_identical",
    "latency_ms",
    "latency_ms_by_protocol",
)


def write_report(run: RunConfig, folder: Path, stages: Sequence[str]) -> Path:
    """Write both files into the run's folder; gives the path of report.html."""
    report = report_of(run, folder, stages)
    loss_curve = finished(folder, "train").manifest.facts["loss_curve"]
    write_json(folder / "report.json", report)
    page = folder / "report.html"
    write_text(page, _render(report, loss_curve))
    return page


def report_of(run: RunConfig, folder: Path, stages: Sequence[str]) -> dict[str, Any]:
    manifests = {stage: finished(folder, stage).manifest for stage in stages}
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
        "etl": {key: etl.facts[key] for key in _ETL},
        "train": {key: train.facts[key] for key in _TRAIN},
        "evaluate": {
            **evaluate.facts["test"],
            "bayes_auc": evaluate.facts["bayes_auc"],
            "valid": evaluate.facts["valid"],
        },
        "serve": {key: serve.facts[key] for key in _SERVE},
        "seconds": {stage: manifest.seconds for stage, manifest in manifests.items()},
        "versions": serve.versions,
    }


def _render(report: dict[str, Any], loss_curve: list[tuple[int, float]]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATE.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template(_TEMPLATE.name)
    return template.render(report=report, curve=_polyline(loss_curve), loss_curve=loss_curve)


def _polyline(loss_curve: list[tuple[int, float]], width: int = 640, height: int = 180) -> str:
    """SVG points of the curve, scaled into a box of `width` by `height`."""
    steps, losses = zip(*loss_curve, strict=True)
    low, spread = min(losses), (max(losses) - min(losses)) or 1.0
    last = max(steps) or 1
    return " ".join(
        f"{width * step / last:.1f},{height * (1 - (loss - low) / spread):.1f}"
        for step, loss in zip(steps, losses, strict=True)
    )
