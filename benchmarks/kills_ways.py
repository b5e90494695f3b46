"""The ways to run that `benchmarks/kills.py` kills: on one process, on several, after a run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.kills_place import Killed, Workplace
from plumbline.stages.run_all import STAGES

CONFIG = {
    "name": "kills",
    "click_model": {"rows": 6000, "days": 3, "continuous": 3, "vocabulary": [50, 200, 1000]},
    "log": {
        "separator": "\t",
        "header": False,
        "columns": {"label": "label", "I1..I3": "continuous", "C1..C3": "hex"},
    },
    "split": {"by": "file", "valid": [1], "test": [2]},
    "workflow": {"graph": "criteo", "options": {"frequency_threshold": 2}},
    "model": {"embedding_dim": 8, "bottom_mlp": [16, 8], "top_mlp": [16]},
    "training": {"epochs": 3, "batch_size": 64, "checkpoint_every": 10},
    "serving": {"probe_rows": 1000, "latency_requests": 5},
}
DAY_SEED = 2


@dataclass(frozen=True, slots=True)
class Way:
    """`prepare` makes what the runs need and returns their options."""

    stages: tuple[str, ...]
    """The stages of a run."""
    killed_in: tuple[str, ...]
    killed: tuple[Killed, ...]
    """By turns."""
    prepare: Callable[[Workplace, Path], tuple[str, ...]]


def _with(*options: str) -> Callable[[Workplace, Path], tuple[str, ...]]:
    return lambda place, folder: options


def _after_a_run(place: Workplace, folder: Path) -> tuple[str, ...]:
    """A run to append to, and the files of a day."""
    parent = place.start(folder / "parent")
    if parent.status() != 0:
        sys.exit(parent.log.read_text(encoding="utf-8"))
    config = folder / "day.yaml"
    config.write_text(
        yaml.safe_dump(CONFIG | {"seed": DAY_SEED}, sort_keys=False), encoding="utf-8"
    )
    # A process of its own: after a fork, the threads that drew rows here would be missing.
    words = ("generate", "--config", str(config), "--out", str(folder / "day"))
    subprocess.run([sys.executable, "-m", "plumbline", *words], check=True, capture_output=True)
    files = sorted((folder / "day" / "generate").glob("*.tsv"))
    return ("--append-to", str(folder / "parent"), "--data", *map(str, files))


_ALL = tuple(STAGES)
_READS_FILES = tuple(stage for stage in STAGES if stage != "generate")

WAYS = {
    "plain": Way(_ALL, _ALL, ("itself", "all"), _with()),
    "dask": Way(
        _ALL,
        ("etl",),
        ("one", "itself", "all"),
        _with("--engine", "nvtabular", "--scheduler", "local"),
    ),
    "spark": Way(_ALL, ("etl",), ("one", "itself", "all"), _with("--engine", "spark")),
    "processes": Way(_ALL, ("train",), ("one", "itself", "all"), _with("--nproc", "2")),
    "append": Way(
        _READS_FILES, ("ingest", "etl", "train", "evaluate"), ("itself", "all"), _after_a_run
    ),
}
