"""Appended days, each scored by the model of the days before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plumbline.stages.report.blocks import Section, Table
from plumbline.stages.report.texts import count, decimal

_METRICS = {
    "auc": "AUC",
    "logloss": "Log loss",
    "normalized_entropy": "Normalized entropy",
    "calibration": "Calibration",
}


def days(report: Mapping[str, Any]) -> Section:
    """Of a run to which a day was appended."""
    appended = report["append"]
    rows = [
        [", ".join(day["files"]), count(day["rows"]), *(decimal(day[key]) for key in _METRICS)]
        for day in appended["days"]
    ]
    return Section(
        "days",
        "Appended days",
        texts=[
            f"Each day was scored before it was trained on. Appended to {appended['parent']}, with "
            f"{appended['statistics']} statistics. New ids: {_listed(appended['new_ids'])}. "
            f"Replayed rows: {count(appended['replayed'])}.",
            *(
                f"{column}: {count(values)} values stay out of vocabulary, at its limit."
                for column, values in appended["left_out_by_limit"].items()
            ),
        ],
        tables=[Table("Scores before training", ["Day", "Rows", *_METRICS.values()], rows)],
    )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{column} {count(ids)}" for column, ids in counts.items()) or "none"
