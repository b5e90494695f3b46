"""The metrics of columns on the server's metrics endpoint.

Only the server's own Python process can import this module, as `model.py` beside it.
"""

from __future__ import annotations

from typing import Any

import triton_python_backend_utils as pb_utils

from plumbline.features.drift.measured import Measured
from plumbline.serving.backend.drift import DRIFT_COUNTERS, DRIFT_GAUGES, ReportColumn


def column_report(model: str, number: str) -> ReportColumn:
    """Sends to the server's metrics endpoint. A metric is there once it has a value."""
    kinds = (
        (DRIFT_COUNTERS, pb_utils.MetricFamily.COUNTER),
        (DRIFT_GAUGES, pb_utils.MetricFamily.GAUGE),
    )
    families = {
        name: pb_utils.MetricFamily(name=name, description=description, kind=kind)
        for names, kind in kinds
        for name, description in names.items()
    }
    metrics: dict[tuple[str, Measured], Any] = {}
    """A metric is only valid as long as its family."""

    def metric(name: str, column: Measured) -> Any:
        if (name, column) not in metrics:
            labels = {
                "model": model,
                "version": number,
                "column": column.column,
                "measure": column.measure,
            }
            metrics[name, column] = families[name].Metric(labels=labels)
        return metrics[name, column]

    def report(column: Measured, increments: dict[str, float], values: dict[str, float]) -> None:
        for name, value in increments.items():
            metric(name, column).increment(value)
        for name, value in values.items():
            metric(name, column).set(value)

    return report
