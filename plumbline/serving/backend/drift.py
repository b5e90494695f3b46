"""Drift of the columns that a model gets, against the reference of its version.

| metric | value |
|---|---|
| `plumbline_column_values_total` | values that were counted: of a list, its elements |
| `plumbline_column_missing_total` | of these, missing ones |
| `plumbline_column_unseen_total` | of these, values that the vocabulary does not have |
| `plumbline_column_stability_index` | population stability index of the last rows |

All have the labels `model`, `version`, `column` and `measure`, which is one of
`plumbline.features.drift.measured`. The last is a gauge over the last one or two windows; a window
ends when both `WINDOW_ROWS` rows were counted and `WINDOW_SECONDS` have passed. It is absent until
`bins.FEWEST` values were counted.

Of the rows of a second, `ROWS_A_TICK` are counted at most, so that the cost has a bound.

Legend: B rows, C continuous columns, K bins.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.values import concat
from plumbline.features.drift.bins import stability_index
from plumbline.features.drift.measured import Measured
from plumbline.features.drift.reference import Reference
from plumbline.features.encoding.encoder import Encoded

ROWS_A_TICK = 2048
"""Most rows that are counted between two calls of `tick`, which come once a second."""
REPORT_SECONDS = 10.0
"""A report sends up to four messages to the server for each column."""
WINDOW_ROWS = 10_000
WINDOW_SECONDS = 600.0

VALUES, MISSING, UNSEEN, INDEX = (
    "plumbline_column_values_total",
    "plumbline_column_missing_total",
    "plumbline_column_unseen_total",
    "plumbline_column_stability_index",
)
DRIFT_COUNTERS = {
    VALUES: "Values of a column that were counted for its drift",
    MISSING: "Of the counted values of a column, missing ones",
    UNSEEN: "Of the counted values of a column, those that the vocabulary does not have",
}
DRIFT_GAUGES = {INDEX: "Population stability index of a column's last values against training"}

ReportColumn = Callable[[Measured, dict[str, float], dict[str, float]], None]
"""Takes a column, its counters' increments and its gauges' values, by metric name."""

Rows = tuple[Any, Encoded]
"""Raw continuous values (B, C), or None if there is no such column, and the encoded rows."""


class DriftMonitor:
    """Counts the columns of some of the requests, and reports on them."""

    def __init__(
        self,
        reference: Reference,
        columns: int,
        report: ReportColumn,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reference, self._report, self._clock = reference, report, clock
        self._columns = reference.columns[:columns]
        self._lock = Lock()
        self._kept: list[Rows] = []
        self._room = ROWS_A_TICK
        self._counted = self._zeros()
        self._window, self._window_before = self._zeros(), self._zeros()
        self._window_rows = 0
        self._window_began = self._reported = clock()

    def keep(self, continuous_BC: NDArray[Any] | None, encoded: Encoded) -> None:
        """Keep a request's rows for the next tick; of more than there is room for, some of them."""
        with self._lock:
            rows, room = len(encoded.ids_BF), self._room
            if not room or not rows:
                return
            self._room -= min(rows, room)
            kept = (continuous_BC, encoded) if rows <= room else _some(continuous_BC, encoded, room)
            self._kept.append(kept)

    def tick(self, *, is_last: bool = False) -> None:
        """Count the kept rows; report if it is time, or if no more will come."""
        with self._lock:
            kept, self._kept, self._room = self._kept, [], ROWS_A_TICK
        if kept:
            self._count(*_joined(kept))
        now = self._clock()
        if is_last or now - self._reported >= REPORT_SECONDS:
            self._reported = now
            self._send(now)

    def _count(self, continuous_BC: NDArray[Any] | None, encoded: Encoded) -> None:
        def raw(position: int) -> NDArray[np.float32]:
            return np.asarray(continuous_BC)[:, position]

        counted = self._reference.count(raw, encoded, len(self._columns))
        for total_K, counts_K in zip(self._counted, counted, strict=True):
            total_K += counts_K
        self._window_rows += len(encoded.ids_BF)

    def _send(self, now: float) -> None:
        counted, self._counted = self._counted, self._zeros()
        for number, (column, counts_K) in enumerate(zip(self._columns, counted, strict=True)):
            self._window[number] += counts_K
            values = int(counts_K.sum())
            if not values:
                continue
            last_K = self._window[number] + self._window_before[number]
            index = stability_index(column.counts_K, last_K)
            self._report(
                column.measured,
                {
                    VALUES: values,
                    MISSING: column.bins.missing(counts_K),
                    UNSEEN: column.bins.unseen(counts_K),
                },
                {} if index is None else {INDEX: index},
            )
        if self._window_rows >= WINDOW_ROWS and now - self._window_began >= WINDOW_SECONDS:
            self._window_before, self._window = self._window, self._zeros()
            self._window_rows, self._window_began = 0, now

    def _zeros(self) -> list[NDArray[np.int64]]:
        return [np.zeros(column.bins.bins, np.int64) for column in self._columns]


def _some(continuous_BC: NDArray[Any] | None, encoded: Encoded, rows: int) -> Rows:
    """So many of the rows, evenly spread."""
    total = len(encoded.ids_BF)
    chosen = np.arange(rows) * total // rows
    return None if continuous_BC is None else continuous_BC[chosen], Encoded(
        encoded.ids_BF[chosen],
        tuple(bag.take(chosen) for bag in encoded.bags),
        encoded.dense_BC[chosen],
    )


def _joined(kept: list[Rows]) -> Rows:
    """The rows of all requests as those of one."""
    if len(kept) == 1:
        return kept[0]
    raw, encoded = zip(*kept, strict=True)
    return None if raw[0] is None else np.concatenate(raw), Encoded(
        np.concatenate([one.ids_BF for one in encoded]),
        tuple(concat(bags) for bags in zip(*(one.bags for one in encoded), strict=True)),
        np.concatenate([one.dense_BC for one in encoded]),
    )
