"""Latency of one request at a time, of several served models alternately."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Benchmark, Case
from benchmarks.serve_requests import differing
from plumbline.columns.wire import Tensors
from plumbline.serving.client.client import Client
from plumbline.serving.client.connection import Protocol
from plumbline.serving.launch.server import TritonServer

WARM_UP = 20


@dataclass(frozen=True, slots=True)
class Batches:
    """Requests of one size and their expected answers; they repeat."""

    rows: int
    tensors: Sequence[Tensors]
    expected: Sequence[NDArray[np.float32]]
    requests_a_round: int


@dataclass(frozen=True, slots=True)
class Latency:
    """A case of medians and one of 99th percentiles, both per round."""

    p50: Case
    p99: Case
    wrong_scores: int

    def times(self, side: str, peer: str) -> float:
        """`side` over `peer`: the median of the rounds' ratios."""
        rounds = zip(self.p50.figures[side], self.p50.figures[peer], strict=True)
        return statistics.median(one / other for one, other in rounds)


@contextmanager
def clients(
    server: TritonServer, protocol: Protocol, models: Mapping[str, str]
) -> Iterator[dict[str, Client]]:
    """A client for each side's model."""
    url = server.grpc_url if protocol == "grpc" else server.http_url
    with ExitStack() as stack:
        yield {
            side: stack.enter_context(Client(url, protocol, model))
            for side, model in models.items()
        }


def measure_latency(
    benchmark: Benchmark,
    name: str,
    client: Mapping[str, Client],
    scored: Sequence[str],
    batches: Batches,
    rounds: int,
) -> Latency:
    """Send each side's requests in turn, round by round.

    The time includes building the request from its tensors and reading the answer. Every score of
    the sides in `scored` must equal the expected one exactly.
    """
    p50: dict[str, list[float]] = {side: [] for side in client}
    p99: dict[str, list[float]] = {side: [] for side in client}
    wrong, count = 0, batches.requests_a_round
    for side in client:
        _ask(client[side], batches, range(WARM_UP))
    for turn in range(rounds):
        for side in client:
            numbers = range(turn * count, (turn + 1) * count)
            milliseconds, wrong_scores = _ask(client[side], batches, numbers)
            p50[side].append(float(np.percentile(milliseconds, 50)))
            p99[side].append(float(np.percentile(milliseconds, 99)))
            wrong += wrong_scores if side in scored else 0
    case = f"{name}, {batches.rows:,} rows"
    return Latency(
        benchmark.add(f"{case}, p50", "ms", p50), benchmark.add(f"{case}, p99", "ms", p99), wrong
    )


def _ask(client: Client, batches: Batches, numbers: range) -> tuple[list[float], int]:
    """Milliseconds of each request, and the number of wrong scores."""
    taken, wrong = [], 0
    for number in numbers:
        index = number % len(batches.tensors)
        start = time.perf_counter()
        probability_B = client.predict(batches.tensors[index])
        taken.append((time.perf_counter() - start) * 1000.0)
        wrong += differing(probability_B, batches.expected[index])
    return taken, wrong
