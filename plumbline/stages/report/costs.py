"""What each stage cost: time, rows a second, memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plumbline.stages.report.blocks import Bar, Cell, Section, Table
from plumbline.stages.report.texts import NOTHING, count, decimal


def costs(report: Mapping[str, Any]) -> Section:
    stages, etl = report["stages"], report["etl"]
    total = sum(stage["seconds"] for stage in stages.values())
    longest = max(stage["seconds"] for stage in stages.values())
    rows: list[list[Cell]] = [
        [
            name,
            Bar(decimal(stage["seconds"], 1), stage["seconds"] / longest if longest else 0.0),
            count(stage["rows"]) if stage["rows"] else NOTHING,
            count(stage["rows_per_second"]) if stage["rows"] else NOTHING,
            count(stage["peak_rss_mb"]),
        ]
        for name, stage in stages.items()
    ]
    heads = ["Stage", "Seconds", "Rows", "Rows a second", "Peak memory, MB"]
    return Section(
        "costs",
        "What each stage cost",
        texts=[
            f"{decimal(total, 1)} seconds in all. The {etl['engine']} engine fitted the features "
            f"in {decimal(etl['fit_seconds'], 1)} s and encoded all splits in "
            f"{decimal(etl['transform_seconds'], 1)} s, {count(etl['rows_per_second'])} rows/s; "
            "the rest of stage etl checks the encoded rows and writes hashes."
        ],
        tables=[Table("Stages", heads, rows)],
    )
