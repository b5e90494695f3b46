"""The first section: is the model better than the simple ones, is it served as it was judged, and
what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plumbline.dlrm.judgement.verdict import CALIBRATION
from plumbline.stages.report.blocks import Cell, Flagged, Section, Table
from plumbline.stages.report.templates import rendered
from plumbline.stages.report.texts import NOTHING, count, decimal

PARITY = 1e-5
"""Served and offline scores that differ by more are not the same."""

_METRICS = {
    "auc": ("AUC", 1),
    "logloss": ("Log loss", -1),
    "normalized_entropy": ("Normalized entropy", -1),
}
"""Metric to its name, and to 1 if more is better, else -1."""


def verdict(report: Mapping[str, Any]) -> Section:
    evaluate, serve = report["evaluate"], report["serve"]
    top = rendered(
        "verdict.html.jinja",
        verdict=evaluate["verdict"],
        rows=count(serve["rows_compared"]),
        ids_identical=serve["ids_identical"],
        difference=f"{serve['max_abs_score_diff']:.1e}",
        is_served_as_judged=is_served_as_judged(report),
        steps=next_steps(report),
    )
    return Section("verdict", "Verdict", top=top, tables=[_quality(evaluate)])


def is_served_as_judged(report: Mapping[str, Any]) -> bool:
    """Whether the server's ids and scores are those of the offline scoring."""
    serve = report["serve"]
    return bool(serve["ids_identical"]) and serve["max_abs_score_diff"] <= PARITY


def next_steps(report: Mapping[str, Any]) -> list[str]:
    """What to do now, the most urgent first; never empty."""
    evaluated, warnings = report["evaluate"]["verdict"], len(report["warnings"])
    steps = []
    if not is_served_as_judged(report):
        steps.append(
            "Do not publish this model: the server does not give the scores that it was judged by. "
            "Run again with --from export; if they still differ, report it as a fault of Plumbline."
        )
    steps += evaluated["advice"]
    if warnings:
        steps.append(f"Read the warnings about the data below ({warnings}).")
    if evaluated["ok"] and is_served_as_judged(report):
        steps.append(
            "Serve it: in the run's folder, plumbline server export/model_repository starts a "
            "server; plumbline publish adds the model to one that runs."
        )
    return steps


def _quality(evaluate: Mapping[str, Any]) -> Table:
    baselines = evaluate["baselines"]
    others = {
        "logistic regression": baselines["logistic_regression"],
        "constant click rate": baselines["constant"],
    }
    rows: list[list[Cell]] = []
    for key, (name, sign) in _METRICS.items():
        worse_than = [
            other for other, metrics in others.items() if sign * metrics[key] > sign * evaluate[key]
        ]
        model: Cell = decimal(evaluate[key])
        if worse_than:
            model = Flagged(decimal(evaluate[key]), "bad", f"worse than {' and '.join(worse_than)}")
        rows.append([name, model, *(decimal(metrics[key]) for metrics in others.values())])
    rows.append(
        [
            "Calibration (predicted / observed clicks)",
            _calibration(evaluate["calibration"]),
            *(decimal(metrics["calibration"]) for metrics in others.values()),
        ]
    )
    if evaluate["bayes_auc"] is not None:
        name = "Best reachable AUC (the click model's own)"
        rows.append([name, decimal(evaluate["bayes_auc"]), NOTHING, NOTHING])
    if evaluate["auc_loss"] is not None:
        name = "AUC that int8 costs (float32 less int8)"
        rows.append([name, decimal(evaluate["auc_loss"]["test"], 6), NOTHING, NOTHING])
    heads = ["Metric", "Model", *(name.capitalize() for name in others)]
    return Table("Quality on the test split", heads, rows)


def _calibration(calibration: float) -> Cell:
    if abs(calibration - 1) <= CALIBRATION:
        return decimal(calibration)
    return Flagged(decimal(calibration), "bad", f"off by more than {CALIBRATION:.0%}")
