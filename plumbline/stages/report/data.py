"""The data: rows, clicks along the log, columns, drift, joins and leaks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from plumbline.features.drift.bins import LARGE, MODERATE
from plumbline.stages.report.axes import Axis
from plumbline.stages.report.blocks import Cell, Figure, Flagged, Section, Table
from plumbline.stages.report.plot import Plot
from plumbline.stages.report.templates import rendered
from plumbline.stages.report.texts import NOTHING, count, decimal, share, short_share

POINTS = 64
"""Points of the plots along the log."""

SPLITS = ("train", "valid", "test")

MOST_UNSEEN = 0.5
"""Above this share of unseen values in the test split, a column is flagged."""


def data(report: Mapping[str, Any]) -> Section:
    ingest = report["ingest"]
    course = _merged(ingest["course"])
    return Section(
        "data",
        "Data",
        figures=[_click_rate(course), _splits(course)],
        tables=[
            _rows(report),
            *_left_out(report),
            _raw(ingest["columns"]),
            _encoded(report["etl"]["columns"]),
            *_unmatched(ingest["unmatched"], sum(ingest["course"]["rows"])),
            *_leaks(report["etl"]["leaks"]),
        ],
        top=rendered("warnings.html.jinja", warnings=report["warnings"])
        if report["warnings"]
        else Markup(),
    )


def _rows(report: Mapping[str, Any]) -> Table:
    rates = report["ingest"]["click_rate"]
    rows = [[name, count(report["rows"][name]), share(rates[name])] for name in SPLITS]
    return Table("Rows of each split", ["Split", "Rows", "Click rate"], rows)


def _left_out(report: Mapping[str, Any]) -> list[Table]:
    ingest, etl = report["ingest"], report["etl"]
    left_out = {
        "Malformed lines": ingest["malformed"],
        "Rows that belong to no split": ingest["left_out"]["no_split"],
        "Rows within split.gap": ingest["left_out"]["gap"],
        "Training rows without a click, by split.keep_negatives": ingest["left_out"]["negatives"],
        "Training rows, by the graph's Filter and Dropna": etl["training_rows_left_out"],
    }
    rows = [[name, count(number)] for name, number in left_out.items() if number]
    return [Table("Left out", ["What", "Number"], rows)] if rows else []


def _merged(course: Mapping[str, Any]) -> list[dict[str, Any]]:
    """At most `POINTS` points along the log: first row, rows, clicks, and rows of each split."""
    each = max(1, math.ceil(len(course["rows"]) / POINTS))
    points = []
    first = 0
    for start in range(0, len(course["rows"]), each):
        part = slice(start, start + each)
        point = {
            "first": first,
            "rows": sum(course["rows"][part]),
            "clicks": sum(course["clicks"][part]),
            "splits": {name: sum(rows[part]) for name, rows in course["splits"].items()},
        }
        first += point["rows"]
        points.append(point)
    return points


def _click_rate(course: Sequence[Mapping[str, Any]]) -> Figure:
    middles = [point["first"] + point["rows"] / 2 for point in course]
    rates = [point["clicks"] / point["rows"] for point in course]
    errors = [
        2 * math.sqrt(rate * (1 - rate) / point["rows"])
        for rate, point in zip(rates, course, strict=True)
    ]
    spans = [
        (x, max(rate - error, 0.0), rate + error)
        for x, rate, error in zip(middles, rates, errors, strict=True)
    ]
    last = course[-1]["first"] + course[-1]["rows"]
    plot = Plot(
        Axis.over("row of the log", [0, last]),
        Axis.over("click rate", [high for *_, high in spans], short_share, zero=True),
    )
    plot.spans(spans)
    plot.line(zip(middles, rates, strict=True))
    title = "Click rate along the log"
    rows = [
        [count(point["first"] + 1), count(point["rows"]), count(point["clicks"]), share(rate)]
        for point, rate in zip(course, rates, strict=True)
    ]
    return Figure(
        title,
        plot.svg("click-rate", f"{title}: from {share(min(rates))} to {share(max(rates))}"),
        Table(title, ["From row", "Rows", "Clicks", "Click rate"], rows, 0),
        note="In the order of time if the split is by time, else of the log. Strokes are two "
        "standard errors.",
    )


def _splits(course: Sequence[Mapping[str, Any]]) -> Figure:
    last = course[-1]["first"] + course[-1]["rows"]
    plot = Plot(Axis("row of the log", 0, last), Axis("share of rows", 0, 1, short_share))
    for kind, name in enumerate(SPLITS):
        bars = []
        for point in course:
            below = sum(point["splits"][before] for before in SPLITS[:kind]) / point["rows"]
            part = point["splits"][name] / point["rows"]
            if part:
                end = point["first"] + point["rows"]
                bars.append((point["first"], end, below, below + part))
        plot.bars(bars, kind)
    title = "Which rows train, validate and test"
    rows = [
        [count(point["first"] + 1), *(count(point["splits"][name]) for name in SPLITS)]
        for point in course
    ]
    return Figure(
        title,
        plot.svg("splits", f"{title}, along the log"),
        Table(title, ["From row", *SPLITS], rows, 0),
        legend=SPLITS,
        has_bars=True,
    )


def _raw(columns: Sequence[Mapping[str, Any]]) -> Table:
    rows = [[column["name"], column["kind"], share(column["missing"])] for column in columns]
    return Table("Columns of the log", ["Column", "Kind", "Missing"], rows, 2)


def _encoded(columns: Sequence[Mapping[str, Any]]) -> Table:
    heads = [
        "Model input", "Ids", "Values in the vocabulary", "Unseen in test", "Missing in test",
        "AUC alone", "Drift valid", "Drift test",
    ]  # fmt: skip
    return Table("Inputs of the model", heads, [_encoded_row(column) for column in columns])


def _encoded_row(column: Mapping[str, Any]) -> list[Cell]:
    drift = [_drift(column["drift"][split]) for split in ("valid", "test")]
    auc = decimal(column["auc"], 3)
    if "cardinality" not in column:
        return [column["name"], NOTHING, NOTHING, NOTHING, NOTHING, auc, *drift]
    ids = count(column["cardinality"])
    if not column["known"]:
        return [column["name"], ids, NOTHING, NOTHING, NOTHING, auc, *drift]
    unseen: Cell = share(column["unseen"])
    if column["unseen"] > MOST_UNSEEN:
        unseen = Flagged(share(column["unseen"]), "warn", "most values")
    return [
        column["name"],
        ids,
        share(1 - column["unseen_in_training"]),
        unseen,
        share(column["missing"]),
        auc,
        *drift,
    ]


def _drift(index: float | None) -> Cell:
    """A population stability index; see `plumbline.features.drift.bins`."""
    if index is None or index < MODERATE:
        return decimal(index, 3)
    if index < LARGE:
        return Flagged(decimal(index, 3), "warn", "moderate")
    return Flagged(decimal(index, 3), "bad", "large")


def _unmatched(unmatched: Mapping[str, int], log_rows: int) -> list[Table]:
    rows = [[name, count(rows), share(rows / log_rows)] for name, rows in unmatched.items()]
    if not rows:
        return []
    return [Table("Keys without a row in a side table", ["Table", "Log rows", "Share"], rows)]


def _leaks(leaks: Sequence[Mapping[str, Any]]) -> list[Table]:
    rows: list[list[Cell]] = [
        [
            Flagged(leak["column"], "bad", "known before the click?"),
            *(decimal(leak[key], 3) for key in ("alone", "together", "without")),
        ]
        for leak in leaks
    ]
    heads = ["Column", "AUC alone", "AUC of the best columns", "Without it"]
    return [Table("Columns that may leak the click", heads, rows)] if rows else []
