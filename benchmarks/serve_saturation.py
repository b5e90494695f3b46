"""One served model from idle to overload: rising numbers of requests in flight, then too many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from benchmarks.harness import Benchmark
from benchmarks.serve_load import Load, closed_loop, open_loop
from benchmarks.serve_requests import Request
from plumbline.settings import Serving

OVERLOADS = (1.5, 2.0)
"""Multiples of the largest throughput of the closed loops."""
REFUSAL = "The server is busy"
"""Start of the error of a model that sheds load."""
SLACK = 1.2
"""Allowance for refusals: an expired request is refused only when the model next takes requests."""
KEPT_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Saturation:
    """`closed` by requests in flight, `open` by multiples of capacity, both ascending."""

    closed: list[Load]
    open: list[Load]

    @property
    def peak(self) -> Load:
        return max(self.closed, key=lambda load: load.rows_a_second)

    @property
    def kept_share(self) -> float:
        """Smallest throughput from the peak on, over the peak's, with senders that wait."""
        return self._share(self.closed[self.closed.index(self.peak) :])

    @property
    def share_in_overload(self) -> float:
        """The same for requests that arrive whether or not the server keeps up."""
        return self._share(self.open)

    def _share(self, loads: Sequence[Load]) -> float:
        return min(load.rows_a_second for load in loads) / self.peak.rows_a_second

    @property
    def slowest_refusal(self) -> float:
        return max(load.error_p99 for load in (*self.closed, *self.open))

    @property
    def wrong_scores(self) -> int:
        return sum(load.wrong_scores for load in (*self.closed, *self.open))

    @property
    def refusals(self) -> int:
        return self._errors(refusals=True)

    @property
    def failures(self) -> int:
        """Number of errors other than refusals."""
        return self._errors(refusals=False)

    def _errors(self, refusals: bool) -> int:
        kinds = chain.from_iterable(load.errors.items() for load in (*self.closed, *self.open))
        return sum(number for kind, number in kinds if kind.startswith(REFUSAL) == refusals)


def saturate(
    name: str,
    url: str,
    requests: Sequence[Request],
    in_flight: Sequence[int],
    seconds: float,
    settings: Serving,
) -> Saturation:
    closed = [
        closed_loop(f"{name}, {number} in flight", url, requests, number, seconds)
        for number in in_flight
    ]
    capacity = max(load.rows_a_second for load in closed)
    longest_answer = 1.0 + SLACK * settings.queue_timeout_ms / 1000.0
    opened = [
        open_loop(
            f"{name}, {times}× capacity", url, requests, times * capacity, seconds, longest_answer
        )
        for times in OVERLOADS
    ]
    return Saturation(closed, opened)


def judge(
    benchmark: Benchmark, name: str, saturation: Saturation, settings: Serving, least_rows: float
) -> None:
    benchmark.loads += [load.to_json() for load in (*saturation.closed, *saturation.open)]
    peak = saturation.peak
    benchmark.at_least(
        f"{name}: rows a second at {peak.rows_a_request:,} rows a request",
        peak.rows_a_second,
        least_rows,
    )
    benchmark.at_least(
        f"{name}: share of its peak that throughput keeps past saturation",
        saturation.kept_share,
        KEPT_SHARE,
    )
    benchmark.at_least(
        f"{name}: the same where more arrives than it can answer, sent from the same cores",
        saturation.share_in_overload,
        KEPT_SHARE,
    )
    benchmark.at_least(f"{name}: requests refused in overload", saturation.refusals, 1)
    benchmark.at_most(
        f"{name}: ms until a refusal, 99th percentile",
        saturation.slowest_refusal,
        SLACK * settings.queue_timeout_ms,
    )
    benchmark.at_most(f"{name}: errors that are no refusals", saturation.failures, 0)
