"""Load on one served model: a number of requests in flight, or an arrival rate.

In a closed loop each sender sends its next request after the answer or refusal of its last. In an
open loop requests arrive as a Poisson process whether or not the server keeps up, and a request's
time counts from when it was due.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from threading import Lock
from typing import Any

import numpy as np

from benchmarks.serve_requests import Connection, Outcome, Request

RAMP_SECONDS = 1.5
"""At the start of each load, not counted."""
MOST_SENDERS = 400


@dataclass(frozen=True, slots=True)
class Load:
    """Result of one load; times are in milliseconds."""

    name: str
    rows_a_request: int
    in_flight: int | None
    offered_rows_a_second: float | None
    rows_a_second: float
    """Rows of answers with scores."""
    p50: float
    p99: float
    """p50 and p99 are over answers with scores, and NaN without any."""
    error_p99: float
    """99th percentile over errors; 0 without any."""
    errors: dict[str, int]
    wrong_scores: int

    def to_json(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in self.__slots__}
        return {key: _plain(value) for key, value in values.items()}


def closed_loop(
    name: str, url: str, requests: Sequence[Request], in_flight: int, seconds: float
) -> Load:
    begin = time.perf_counter()
    end = begin + RAMP_SECONDS + seconds

    def sender(number: int) -> list[Outcome]:
        connection, outcomes, index = Connection(url), [], number
        while time.perf_counter() < end:
            outcomes.append(connection.send(requests[index % len(requests)]))
            index += in_flight
        connection.close()
        return outcomes

    outcomes = _all_of(sender, in_flight)
    return summary(name, outcomes, begin + RAMP_SECONDS, seconds, in_flight=in_flight)


def open_loop(
    name: str,
    url: str,
    requests: Sequence[Request],
    rows_a_second: float,
    seconds: float,
    longest_answer: float,
) -> Load:
    """Send requests at a Poisson rate, with enough senders for answers of `longest_answer` seconds.

    If answers take longer, a due request waits for a sender; the wait counts in its time.
    """
    rate = rows_a_second / len(requests[0].expected_B)
    senders = min(MOST_SENDERS, math.ceil(rate * longest_answer) + 1)
    begin = time.perf_counter() + 0.1
    due = Arrivals(begin, rate, begin + RAMP_SECONDS + seconds)

    def sender(_: int) -> list[Outcome]:
        connection, outcomes = Connection(url), []
        for number, at in due:
            time.sleep(max(0.0, at - time.perf_counter()))
            outcomes.append(connection.send(requests[number % len(requests)], at))
        connection.close()
        return outcomes

    outcomes = _all_of(sender, senders)
    return summary(
        name, outcomes, begin + RAMP_SECONDS, seconds, offered_rows_a_second=rows_a_second
    )


class Arrivals(Iterator[tuple[int, float]]):
    """Thread-safe iterator over the number and time of each arrival."""

    def __init__(self, begin: float, rate: float, end: float) -> None:
        self._lock, self._numbers = Lock(), count()
        self._gaps = np.random.default_rng(11)
        self._next, self._rate, self._end = begin, rate, end

    def __next__(self) -> tuple[int, float]:
        with self._lock:
            self._next += self._gaps.exponential(1.0 / self._rate)
            if self._next >= self._end:
                raise StopIteration
            return next(self._numbers), self._next


def _all_of(sender: Callable[[int], list[Outcome]], senders: int) -> list[Outcome]:
    with ThreadPoolExecutor(senders) as pool:
        return [outcome for part in pool.map(sender, range(senders)) for outcome in part]


def summary(
    name: str,
    outcomes: Sequence[Outcome],
    begin: float,
    seconds: float,
    in_flight: int | None = None,
    offered_rows_a_second: float | None = None,
) -> Load:
    """Summarize the answers received in the window of `seconds` after `begin`."""
    counted = [o for o in outcomes if begin <= o.ended < begin + seconds]
    answered = [outcome for outcome in counted if not outcome.error]
    refused = [outcome.milliseconds for outcome in counted if outcome.error]
    p50, p99 = (
        np.percentile([o.milliseconds for o in answered], (50, 99))
        if answered
        else (math.nan, math.nan)
    )
    return Load(
        name=name,
        rows_a_request=outcomes[0].rows,
        in_flight=in_flight,
        offered_rows_a_second=offered_rows_a_second,
        rows_a_second=sum(outcome.rows for outcome in answered) / seconds,
        p50=float(p50),
        p99=float(p99),
        error_p99=float(np.percentile(refused, 99)) if refused else 0.0,
        errors=dict(Counter(outcome.error for outcome in counted if outcome.error)),
        wrong_scores=sum(outcome.wrong_scores for outcome in outcomes),
    )


def _plain(value: object) -> object:
    """Four significant digits, and None for NaN, which JSON lacks."""
    if isinstance(value, float):
        return None if math.isnan(value) else float(f"{value:.4g}")
    return value
