"""The course of a run as an event file, which TensorBoard reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plumbline.base.files import remove

FOLDER = "tensorboard"
"""In the run's folder."""

TEST_METRICS = ("auc", "logloss", "normalized_entropy", "calibration")


def write_events(report: Mapping[str, Any], folder: Path) -> None:
    """Write the events of a report.json into the folder `tensorboard`, in place of earlier ones."""
    from tensorboardX import SummaryWriter

    remove(folder / FOLDER)
    with SummaryWriter(str(folder / FOLDER)) as writer:
        for name, step, value in scalars(report):
            writer.add_scalar(name, value, step)
        rows = [f"| {key} | `{value}` |" for key, value in report["settings"].items()]
        writer.add_text("settings", "\n".join(["| key | value |", "|---|---|", *rows]))
        writer.add_text("verdict", report["evaluate"]["verdict"]["text"])


def scalars(report: Mapping[str, Any]) -> list[tuple[str, int, float]]:
    """Name, step and value of every figure that has a step; those of the test split have the last.

    A validation metric stands at the last step of its epoch.
    """
    train, evaluate, last = report["train"], report["evaluate"], report["train"]["steps"]
    found: list[tuple[str, int, float]] = []
    for (step, loss), rate in zip(train["loss_curve"], train["learning_rates"], strict=True):
        found += [("train/loss", step, loss), ("train/learning_rate", step, rate)]
    for index, valid in enumerate(train["valid"]):
        step = round((index + 1) * last / train["epochs_run"])
        found += [(f"valid/{name}", step, valid[name]) for name in TEST_METRICS]
    found += [(f"test/{name}", last, evaluate[name]) for name in TEST_METRICS]
    found += [(f"seconds/{stage}", last, took) for stage, took in report["seconds"].items()]
    return found
