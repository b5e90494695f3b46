"""Training: losses by step and by epoch, learning rate, and which epoch was kept."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

from plumbline.stages.report.axes import Axis
from plumbline.stages.report.blocks import Cell, Figure, Section, Table
from plumbline.stages.report.plot import Plot
from plumbline.stages.report.texts import count, decimal, share, short


def training(report: Mapping[str, Any]) -> Section:
    train = report["train"]
    figures = [_loss(train)]
    if train["epochs_run"] > 1:
        figures.append(_epochs(train))
    figures.append(_rates(train))
    return Section(
        "training",
        "Training",
        texts=[_summary(train), _end(train)],
        figures=figures,
        tables=[_by_epoch(train)],
    )


def _summary(train: Mapping[str, Any]) -> str:
    return (
        f"{count(train['steps'])} steps of {count(train['batch_size'])} rows, "
        f"{count(train['samples_per_second'])} samples a second ({train['model']}, "
        f"{train['precision']}), {share(train['waiting_share'])} of the time waiting for data. "
        f"The mean loss of the last steps is {decimal(train['final_loss'])}. Fitting the output "
        f"bias shifted it by {train['bias_shift']:.4g}."
    )


def _end(train: Mapping[str, Any]) -> str:
    """Why training ended, and which epoch's weights were kept."""
    run, planned, best = train["epochs_run"], train["epochs"], train["best_epoch"]
    if run == 1 and planned == 1:
        return "One epoch was planned and run."
    stops_early = train["early_stopping"]
    if run < planned:
        ended = (
            f"Training ended early, after epoch {run} of {planned}: the validation log loss had "
            f"not fallen for {train['patience']} epochs."
        )
    else:
        ended = f"All {planned} epochs were run."
    kept = "the one with the best validation log loss" if stops_early else "the last one"
    return f"{ended} The weights of epoch {best} were kept, {kept}."


def _loss(train: Mapping[str, Any]) -> Figure:
    curve, valid = train["loss_curve"], train["valid"]
    steps_an_epoch = train["steps"] / train["epochs_run"]
    judged = [((i + 1) * steps_an_epoch, one["logloss"]) for i, one in enumerate(valid)]
    losses = [loss for _, loss in chain(curve, judged)]
    plot = Plot(Axis("step", 0, train["steps"]), Axis.over("log loss", losses))
    plot.line(curve)
    plot.points(judged, 1)
    title = "Loss by step"
    return Figure(
        title,
        plot.svg(
            "loss",
            f"{title}: training from {decimal(curve[0][1])} to {decimal(curve[-1][1])}, "
            f"validation {decimal(valid[-1]['logloss'])} at the end",
        ),
        Table(
            "Mean training loss since the step before",
            ["Step", "Loss", "Learning rate"],
            [
                [count(step), decimal(loss), f"{rate:.3g}"]
                for (step, loss), rate in zip(curve, train["learning_rates"], strict=True)
            ],
            0,
        ),
        legend=["training, mean of the steps", "validation, after each epoch (points)"],
    )


def _epochs(train: Mapping[str, Any]) -> Figure:
    series = {
        "training": train["train_losses"],
        "validation": [one["logloss"] for one in train["valid"]],
    }
    plot = Plot(
        Axis("epoch", 1, train["epochs_run"]),
        Axis.over("log loss", chain.from_iterable(series.values())),
    )
    for kind, losses in enumerate(series.values()):
        points = [(index + 1, loss) for index, loss in enumerate(losses)]
        plot.line(points, kind)
        plot.points(points, kind)
    title = "Loss by epoch"
    rows = [
        [str(index + 1), decimal(one), decimal(other)]
        for index, (one, other) in enumerate(zip(*series.values(), strict=True))
    ]
    return Figure(
        title,
        plot.svg("epochs", f"{title}: training and validation"),
        Table(title, ["Epoch", "Training", "Validation"], rows),
        legend=list(series),
    )


def _rates(train: Mapping[str, Any]) -> Figure:
    steps = [step for step, _ in train["loss_curve"]]
    rates = train["learning_rates"]
    plot = Plot(
        Axis("step", 0, train["steps"]), Axis.over("learning rate", rates, short, zero=True)
    )
    plot.line(zip(steps, rates, strict=True))
    title = "Learning rate of the layers"
    return Figure(
        title,
        plot.svg("rates", f"{title}: from {rates[0]:.3g} to {rates[-1]:.3g}"),
        Table(
            title,
            ["Step", "Learning rate"],
            [[count(step), f"{rate:.3g}"] for step, rate in zip(steps, rates, strict=True)],
            0,
        ),
        note="The embeddings' rate follows the same schedule; its base is "
        f"{train['embedding_learning_rate']:.3g}.",
    )


def _by_epoch(train: Mapping[str, Any]) -> Table:
    rows: list[list[Cell]] = []
    for index, (loss, valid) in enumerate(zip(train["train_losses"], train["valid"], strict=True)):
        name = f"{index + 1} (kept)" if index + 1 == train["best_epoch"] else str(index + 1)
        figures = [decimal(valid[key]) for key in ("logloss", "auc", "calibration")]
        rows.append([name, decimal(loss), *figures])
    heads = ["Epoch", "Training loss", "Validation log loss", "AUC", "Calibration"]
    return Table("After each epoch", heads, rows)
