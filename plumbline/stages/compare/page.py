"""The comparison as a page, made of the blocks of a run's report."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from plumbline.stages.compare.runs import ComparedRun
from plumbline.stages.compare.tables import costs, quality, settings, slices
from plumbline.stages.report.axes import Axis
from plumbline.stages.report.blocks import Figure, Section, Table
from plumbline.stages.report.page import page
from plumbline.stages.report.plot import KINDS, Plot
from plumbline.stages.report.quality import calibration, precision_recall, roc
from plumbline.stages.report.texts import count, decimal


def comparison_page(runs: Sequence[ComparedRun]) -> str:
    """The page, with the curves of the first runs if there are more than the page has colours."""
    drawn = runs[:KINDS]
    curves = {run.name: run.report["evaluate"]["curves"]["model"] for run in drawn}
    figures = [
        roc({name: one["roc"] for name, one in curves.items()}),
        precision_recall({name: one["precision_recall"] for name, one in curves.items()}),
        calibration({name: one["calibration"] for name, one in curves.items()}),
        _losses(drawn),
    ]
    texts = [rows_note(runs)]
    if len(runs) > len(drawn):
        texts.append(f"The curves are those of the first {len(drawn)} of {len(runs)} runs.")
    sections = [
        Section("settings", "Settings", tables=[settings(runs)]),
        Section("quality", "Quality", texts=texts, figures=figures, tables=[quality(runs)]),
        Section("slices", "Slices", tables=slices(runs)),
        Section("costs", "Costs", tables=[costs(runs)]),
    ]
    return page(f"Plumbline: {len(runs)} runs compared", sections)


def rows_note(runs: Sequence[ComparedRun]) -> str:
    """Whether the runs were judged on the same rows."""
    if len({run.report["stages"]["ingest"]["hash"] for run in runs}) == 1:
        return "All runs were judged on the same test rows."
    counts = {
        (run.report["rows"]["test"], run.report["ingest"]["click_rate"]["test"]) for run in runs
    }
    if len(counts) > 1:
        return (
            "The runs were judged on different test rows, so a better metric may only mean easier "
            "rows."
        )
    return (
        "The test splits have equal numbers of rows and clicks, but stage ingest ran with other "
        "settings: whether they have the same rows is not known."
    )


def _losses(runs: Sequence[ComparedRun]) -> Figure:
    curves = {run.name: run.report["train"]["loss_curve"] for run in runs}
    points = [*chain.from_iterable(curves.values())]
    plot = Plot(
        Axis.over("step", [step for step, _ in points], zero=True),
        Axis.over("log loss", [loss for _, loss in points]),
    )
    for kind, curve in enumerate(curves.values()):
        plot.line(curve, kind)
    title = "Training loss by step"
    rows = [
        [name, count(step), decimal(loss)]
        for name, curve in curves.items()
        for step, loss in curve[:: max(1, len(curve) // 20)]
    ]
    return Figure(
        title,
        plot.svg("loss", f"{title} of {' and '.join(curves)}"),
        Table(f"{title}, every tenth point", ["Run", "Step", "Loss"], rows),
        legend=list(curves),
    )
