"""Small logs of days with new values each day, and runs that they are appended to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from plumbline.settings import Config
from plumbline.stages.day_check import check_day
from plumbline.stages.parent import config_of_day
from plumbline.stages.run import Run
from plumbline.stages.run_all import stage_named

ROWS = 900
STAGES = ("ingest", "etl", "train", "evaluate", "export")
SETTINGS: dict[str, Any] = {
    "name": "shop",
    "log": {"columns": {"click": "label", "x": "continuous", "c": "integer", "s": "string"}},
    "split": {"by": "rows", "valid": 0.2, "test": 0.2},
    "workflow": {"graph": "criteo", "options": {"frequency_threshold": 2}},
    "model": {"embedding_dim": 4, "bottom_mlp": [8, 4], "top_mlp": [8]},
    "training": {"batch_size": 64, "epochs": 2, "precision": "fp32"},
    "append": {"valid": 0.2, "test": 0.2},
}


def day_file(folder: Path, day: int, rows: int = ROWS, first: int | None = None) -> Path:
    """A day of rows; its values begin at `first`, by default at 10 a day, so some are new."""
    generator = np.random.default_rng(day)
    first = 10 * day if first is None else first
    c = generator.integers(first, first + 40, rows)
    s = generator.integers(first, first + 20, rows)
    x = generator.normal(day, 1.0, rows).round(2)
    click = (generator.random(rows) < 0.2 + 0.5 * (c % 2)).astype(int)
    lines = [
        "click,x,c,s",
        *(f"{k},{n},{i},w{w}" for k, n, i, w in zip(click, x, c, s, strict=True)),
    ]
    file = folder / f"day_{day}.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def config_of(**changes: Any) -> Config:
    """`SETTINGS` with keys of its sections changed."""
    merged = {key: value for key, value in SETTINGS.items()}
    for key, value in changes.items():
        merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    return Config.model_validate(merged)


def run_of(*data: Path, parent: Path | None = None, engine: Any = "native", **changes: Any) -> Run:
    config = config_of(**changes)
    if parent is not None:
        config = config_of_day(config)
    return Run(config, data, engine, "fused", "cpu", None, "cpu", parent)


def finished(run: Run, folder: Path, stages: Sequence[str] = STAGES) -> Path:
    """The folder of the run, after these stages."""
    for name in stages:
        stage_named(name).ensure(run, folder)
    return folder


def appended(
    folder: Path, parent: Path, *data: Path, stages: Sequence[str] = STAGES, **changes: Any
) -> Path:
    """The folder of a run, after a day was appended to its parent."""
    run = run_of(*data, parent=parent, **changes)
    link = check_day(run, parent, folder, force=False)
    folder.mkdir(parents=True, exist_ok=True)
    link.write(folder)
    return finished(run, folder, stages)
