"""The model that a run scores and serves: as trained, or in int8, as stage evaluate wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from plumbline.dlrm.ops.scoring.precision import ScoringPrecision, scoring_precision
from plumbline.stages.finished import Finished
from plumbline.stages.run import Run

INT8_FOLDER = "int8_model"
"""In the folder of stage evaluate."""


def precision(run: Run) -> ScoringPrecision:
    """The precision of offline scores: the one that this machine serves in."""
    return scoring_precision(run.config.serving.precision)


def trained_model(inputs: Mapping[str, Finished]) -> Path:
    return inputs["train"].path("model")


def needs_for_served_model(run: Run) -> tuple[str, ...]:
    """The stages that `served_model` reads."""
    return ("train", "evaluate") if precision(run) == "int8" else ("train",)


def served_model(run: Run, inputs: Mapping[str, Finished]) -> Path:
    if precision(run) == "int8":
        return inputs["evaluate"].path(INT8_FOLDER)
    return trained_model(inputs)
