"""Metrics of the values and scores of a served version: early signs of drift.

| metric | counts |
|---|---|
| `plumbline_rows_total` | rows that were encoded or scored |
| `plumbline_categorical_values_total` | values (and list elements) looked up in a vocabulary |
| `plumbline_unseen_values_total` | of these, values that are not in the vocabulary |
| `plumbline_null_values_total` | looked up and continuous values that were missing |
| `plumbline_continuous_values_total` | continuous values |
| `plumbline_score_sum` | sum of the click probabilities |
| `plumbline_unseen_value_rate` | share of the looked up values that is unseen |
| `plumbline_null_value_rate` | share of all values that is missing |
| `plumbline_mean_score` | mean click probability |

All have the labels `model` and `version`. The last three are gauges over the last 1,000 to 2,000
rows. The feature model reports values, the DLRM scores, and the fused model both.

Legend: B rows, F columns of ids, C continuous columns, N ids of a list column.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.wire import CONTINUOUS, Tensors
from plumbline.features.encoding.encoder import Encoded
from plumbline.features.plan.plan import Plan
from plumbline.features.steps.step import IdStep
from plumbline.serving.backend.drift import DriftMonitor

SECONDS = 1.0
"""Seconds between two reports. A report sends one message to the server for each metric."""
WINDOW_ROWS = 1000
_PENDING_ROWS = 4096

CHECK_REQUEST = "plumbline-check"
"""The id of requests that check the server's health. They are not counted."""

ROWS = "plumbline_rows_total"
_OF_SCORES = ("plumbline_score_sum", "plumbline_mean_score")

COUNTERS = {
    ROWS: "Rows that were encoded or scored",
    "plumbline_categorical_values_total": "Values that were looked up in a vocabulary",
    "plumbline_unseen_values_total": "Looked up values that the vocabulary does not have",
    "plumbline_null_values_total": "Looked up and continuous values that were missing",
    "plumbline_continuous_values_total": "Continuous values",
    "plumbline_score_sum": "Sum of the click probabilities",
}
GAUGES = {
    "plumbline_unseen_value_rate": "Unseen share of the last looked up values",
    "plumbline_null_value_rate": "Missing share of the last values",
    "plumbline_mean_score": "Mean of the last click probabilities",
}


def metrics_of(has_plan: bool, has_scores: bool) -> tuple[dict[str, str], dict[str, str]]:
    """Those of COUNTERS and of GAUGES that a model with a plan, or with scores, reports.

    >>> sorted(metrics_of(has_plan=False, has_scores=True)[1])
    ['plumbline_mean_score']
    """

    def chosen(metrics: dict[str, str]) -> dict[str, str]:
        return {
            name: description
            for name, description in metrics.items()
            if name == ROWS or (has_scores if name in _OF_SCORES else has_plan)
        }

    return chosen(COUNTERS), chosen(GAUGES)


@dataclass(slots=True)
class Counts:
    """Sums over rows, in the order of COUNTERS."""

    rows: int = 0
    categorical: int = 0
    unseen: int = 0
    null: int = 0
    continuous: int = 0
    score_sum: float = 0.0
    scores: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, n) + getattr(other, n) for n in self.__slots__))

    def counters(self) -> dict[str, float]:
        """By metric name."""
        values = (getattr(self, name) for name in self.__slots__)
        return dict(zip(COUNTERS, values, strict=False))

    def gauges(self) -> dict[str, float]:
        """By metric name; a share of nothing is left out."""
        shares = (
            (self.unseen, self.categorical),
            (self.null, self.categorical + self.continuous),
            (self.score_sum, self.scores),
        )
        named = zip(GAUGES, shares, strict=True)
        return {name: part / whole for name, (part, whole) in named if whole}


class Counter:
    """Counts the rows of a model with this plan, or without one."""

    def __init__(self, plan: Plan | None) -> None:
        columns = [] if plan is None else plan.categorical
        ids_F = [_special_ids(column.id_step) for column in columns if not column.is_list]
        self._ids_3F = np.array(ids_F, np.int64).reshape(-1, 3).T
        self._ids_L = [_special_ids(column.id_step) for column in columns if column.is_list]
        self._looked_up = np.flatnonzero(self._ids_3F[2])
        self._ids_3F = self._ids_3F[:, self._looked_up]

    def count(
        self,
        continuous_BC: NDArray[Any] | None,
        encoded: Encoded | None,
        probability_B: NDArray[Any] | None,
    ) -> Counts:
        """One request's counts: of the raw continuous values, of the ids and of the scores."""
        counts = Counts()
        if encoded is not None:
            counts.rows = len(encoded.ids_BF)
            _add_ids(counts, encoded.ids_BF[:, self._looked_up], *self._ids_3F)
            for bag, ids in zip(encoded.bags, self._ids_L, strict=True):
                if ids[2]:
                    _add_ids(counts, bag.values, *ids)
        if continuous_BC is not None:
            counts.continuous = continuous_BC.size
            counts.null += int(np.count_nonzero(np.isnan(continuous_BC)))
        if probability_B is not None:
            counts.rows = len(probability_B)
            is_number_B = np.isfinite(probability_B)  # NaN or infinity would stay in the sums
            counts.scores = int(np.count_nonzero(is_number_B))
            counts.score_sum = float(probability_B.sum(dtype=np.float64, where=is_number_B))
        return counts


def _special_ids(step: IdStep) -> tuple[int, int, int]:
    """The id of null, the first of out of vocabulary, and how many these are."""
    return step.null_id, step.unseen_ids.start, len(step.unseen_ids)


def _add_ids(counts: Counts, ids: Any, null: Any, unseen: Any, buckets: Any) -> None:
    """The last three are as in `_special_ids`, of all columns or of each."""
    counts.categorical += ids.size
    counts.null += int(np.count_nonzero(ids == null))
    counts.unseen += int(np.count_nonzero((ids >= unseen) & (ids < unseen + buckets)))


Report = Callable[[dict[str, float], dict[str, float]], None]
"""Takes the counters' increments and the gauges' values, by metric name."""


class Monitor:
    """Collects requests and their answers, and reports on them about once a second.

    `see`, which delays requests, only stores the arrays. A thread counts them, unless very many
    rows are pending. What `drift` counts of a request it gets on the way.
    """

    def __init__(
        self, plan: Plan | None, report: Report, drift: DriftMonitor | None = None
    ) -> None:
        self._counter = Counter(plan)
        self._report, self._drift = report, drift
        self._pending: deque[tuple[Any, Encoded | None, Any]] = deque()
        self._pending_rows = 0
        self._lock = threading.Lock()
        self._counted = self._window = self._window_before = Counts()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Report what is pending, and end the thread."""
        self._end.set()
        self._thread.join()

    def see(
        self,
        tensors: Tensors,
        encoded: Encoded | None,
        probability_B: NDArray[Any] | None,
    ) -> None:
        """Keep a request: its tensors, its encoded rows if they were raw, its scores if any."""
        continuous_BC = None
        if encoded is not None and CONTINUOUS in tensors:
            continuous_BC = tensors[CONTINUOUS].copy()  # the server takes its memory back
        self._pending.append((continuous_BC, encoded, probability_B))
        self._pending_rows += len(next(iter(tensors.values())))
        if self._pending_rows >= _PENDING_ROWS:
            self._count()

    def _count(self) -> None:
        """Count what is pending; two threads may call this at once."""
        counted, self._pending_rows = Counts(), 0
        with suppress(IndexError):
            while True:
                request = self._pending.popleft()
                counted += self._counter.count(*request)
                if self._drift is not None and request[1] is not None:
                    self._drift.keep(request[0], request[1])
        with self._lock:
            self._counted += counted

    def _run(self) -> None:
        while not self._end.wait(SECONDS):
            self._send()
        self._send(is_last=True)

    def _send(self, *, is_last: bool = False) -> None:
        self._count()
        if self._drift is not None:
            self._drift.tick(is_last=is_last)
        with self._lock:
            counted, self._counted = self._counted, Counts()
        if not counted.rows:
            return
        self._window += counted
        self._report(counted.counters(), (self._window + self._window_before).gauges())
        if self._window.rows >= WINDOW_ROWS:
            self._window_before, self._window = self._window, Counts()
