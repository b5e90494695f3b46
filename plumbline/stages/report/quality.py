"""Quality on the test split: curves, scores, the columns that matter, and slices."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from plumbline.stages.report.axes import Axis
from plumbline.stages.report.blocks import Bar, Cell, Figure, Section, Table
from plumbline.stages.report.plot import Plot
from plumbline.stages.report.texts import NOTHING, count, decimal, share, short, short_share

IMPORTANT = 20
"""Columns in the table of importance."""

SCORE_MARKS = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
"""Scores that the axis of the histogram may name."""


def quality(report: Mapping[str, Any]) -> Section:
    evaluate = report["evaluate"]
    curves = evaluate["curves"]
    names = {"model": "model", "regression": "logistic regression"}
    return Section(
        "quality",
        "Quality",
        texts=[
            f"{count(evaluate['rows'])} rows of the test split, click rate "
            f"{share(evaluate['click_rate'])}, scored in {evaluate['precision']}."
        ],
        figures=[
            roc({name: curves[key]["roc"] for key, name in names.items()}),
            precision_recall(
                {name: curves[key]["precision_recall"] for key, name in names.items()}
            ),
            calibration({name: curves[key]["calibration"] for key, name in names.items()}),
            _scores(curves["model"]["histogram"]),
        ],
        tables=[_importance(evaluate["importance"]), *_slices(evaluate["slices"])],
    )


def roc(curves: Mapping[str, Sequence[Sequence[float]]]) -> Figure:
    """ROC curves of several models, by name."""
    return _rates(
        "roc", "ROC curve", "false positive rate", "true positive rate", curves, diagonal=True
    )


def precision_recall(curves: Mapping[str, Sequence[Sequence[float]]]) -> Figure:
    """Precision-recall curves of several models, by name."""
    return _rates("precision", "Precision and recall", "recall", "precision", curves)


def _rates(
    name: str,
    title: str,
    x: str,
    y: str,
    curves: Mapping[str, Sequence[Sequence[float]]],
    *,
    diagonal: bool = False,
) -> Figure:
    plot = Plot(Axis(x, 0, 1, short), Axis(y, 0, 1, short))
    if diagonal:
        plot.guide([(0, 0), (1, 1)])
    for kind, curve in enumerate(curves.values()):
        plot.line(curve, kind)
    rows = [
        [model, decimal(one, 3), decimal(other, 3)]
        for model, curve in curves.items()
        for one, other in curve[:: max(1, len(curve) // 20)]
    ]
    return Figure(
        title,
        plot.svg(name, f"{title} of {' and '.join(curves)}"),
        Table(f"{title}, every tenth point", ["Model", x.capitalize(), y.capitalize()], rows),
        legend=list(curves),
    )


def calibration(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Calibration curves of several models, by name; strokes are two standard errors."""
    groups = [group for curve in curves.values() for group in curve]
    highest = max(max(group["predicted"], group["observed"]) for group in groups)
    plot = Plot(
        Axis("mean score", 0, highest, short_share), Axis("click rate", 0, highest, short_share)
    )
    plot.guide([(0, 0), (highest, highest)])
    for kind, curve in enumerate(curves.values()):
        spans = []
        for group in curve:
            rate = group["observed"]
            error = 2 * math.sqrt(rate * (1 - rate) / group["rows"])
            spans.append((group["predicted"], max(rate - error, 0), min(rate + error, highest)))
        plot.spans(spans, kind)
        plot.line([(group["predicted"], group["observed"]) for group in curve], kind)
    title = "Calibration"
    rows = [
        [
            model,
            *(count(group[key]) for key in ("rows", "clicks")),
            *(share(group[key]) for key in ("predicted", "observed")),
        ]
        for model, curve in curves.items()
        for group in curve
    ]
    return Figure(
        title,
        plot.svg("calibration", f"{title}: click rate by mean score of {' and '.join(curves)}"),
        Table(
            "Groups of equal numbers of rows, by score",
            ["Model", "Rows", "Clicks", "Mean score", "Click rate"],
            rows,
        ),
        legend=list(curves),
        note="Right on the thin diagonal. Strokes are two standard errors.",
    )


def _scores(histogram: Mapping[str, Any]) -> Figure:
    edges = [_log_odds(edge) for edge in histogram["edges"]]
    totals = [a + b for a, b in zip(histogram["clicks"], histogram["others"], strict=True)]
    marks = tuple(_log_odds(mark) for mark in SCORE_MARKS)
    plot = Plot(
        Axis("score", edges[0], edges[-1], lambda x: short_share(_probability(x)), marks=marks),
        Axis.over("rows", totals, zero=True),
    )
    bins = list(zip(edges[:-1], edges[1:], histogram["clicks"], totals, strict=True))
    plot.bars([(low, high, 0, clicks) for low, high, clicks, _ in bins], 0)
    plot.bars([(low, high, clicks, total) for low, high, clicks, total in bins], 1)
    title = "Scores"
    rows = [
        [f"{share(low)} to {share(high)}", count(clicks), count(others)]
        for low, high, clicks, others in zip(
            histogram["edges"][:-1],
            histogram["edges"][1:],
            histogram["clicks"],
            histogram["others"],
            strict=True,
        )
    ]
    return Figure(
        title,
        plot.svg("scores", f"{title}: rows with and without a click, by score"),
        Table("Rows by score", ["Score", "With a click", "Without"], rows),
        legend=["with a click", "without"],
        has_bars=True,
        note="In equal steps of the score's log-odds.",
    )


def _log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))


def _probability(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def _importance(importance: Mapping[str, Any]) -> Table:
    columns = importance["columns"]
    largest = max((one["auc"] for one in columns), default=0.0)
    rows: list[list[Cell]] = [
        [
            one["column"],
            Bar(decimal(one["auc"]), max(one["auc"], 0.0) / largest if largest > 0 else 0.0),
            decimal(one["logloss"]),
        ]
        for one in columns[:IMPORTANT]
    ]
    more = len(columns) - len(rows)
    left_out = importance["left_out"]
    caption = f"Importance: what is lost on {count(importance['rows'])} test rows if a column's "
    caption += "values are shuffled"
    caption += f" ({more} columns with less are not shown)" if more else ""
    caption += f" ({left_out} were not tried)" if left_out else ""
    return Table(caption, ["Model input", "AUC lost", "Log loss gained"], rows)


def _slices(slices: Mapping[str, Any]) -> list[Table]:
    heads = ["Value", "Rows", "Click rate", "Mean score", "AUC", "Log loss"]
    return [
        Table(
            f"Slices by {one['column']}, of {count(slices['rows'])} test rows",
            heads,
            [_slice(part) for part in one["slices"]],
        )
        for one in slices["columns"]
    ]


def _slice(part: Mapping[str, Any]) -> list[Cell]:
    auc: Cell = NOTHING
    if part["auc"] is not None:
        auc = Bar(decimal(part["auc"]), max(2 * part["auc"] - 1, 0.0))
    return [
        part["value"],
        count(part["rows"]),
        share(part["click_rate"]),
        share(part["predicted"]),
        auc,
        decimal(part["logloss"]),
    ]
