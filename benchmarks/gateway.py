"""What the gateway costs a request, and what it withstands.

Kaggle's configuration at Criteo's size, served by `plumbline server --gateway`. The sides, on one
server and alternately: rows by column name to the gateway; the same rows to Triton's HTTP by the
client, which turns them into tensors itself; and tensors that were made beforehand. Then the
gateway gets hostile requests with valid ones between them. All scores are compared with those
computed offline.
"""

from __future__ import annotations

import http.client
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.criteo_rows import frames
from benchmarks.harness import OURS, Benchmark, parser
from benchmarks.hostile import hostile_request, send_and_leave
from benchmarks.running_server import RunningServer
from benchmarks.serve_export import READY_SECONDS, Served, export_criteo
from benchmarks.serve_load import Load, closed_loop
from benchmarks.serve_requests import Request
from plumbline.columns.wire import to_tensors
from plumbline.serving.client.client import Client
from plumbline.serving.contract.interface import CLICK_PROBABILITY, FUSED_MODEL
from plumbline.settings import Serving

DIRECT, PREPARED = "direct HTTP, rows", "direct HTTP, tensors"
LOAD_ROWS = 2048
SECONDS_OF_A_HOSTILE_REQUEST = 1.0
"""After which its sender leaves."""


@dataclass(frozen=True, slots=True)
class Scale:
    share: float
    """Share of the vocabularies and tables."""
    rounds: int
    requests_a_round: int
    in_flight: tuple[int, ...]
    seconds: float
    hostile: int


FULL = Scale(1.0, 12, 200, (1, 2, 4, 8), 4.0, 1000)
QUICK = Scale(1e-3, 1, 20, (2,), 0.5, 20)


@dataclass(frozen=True, slots=True)
class Batch:
    """Raw rows, and their scores computed offline."""

    table: pa.Table
    scores: np.ndarray[Any, np.dtype[np.float32]]

    @property
    def rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.table.to_pylist()
        return rows


def batches(served: Served, rows: int, count: int) -> list[Batch]:
    executor, scorer = served.offline()
    table = next(frames(rows * count)).select(executor.columns.names).to_arrow().combine_chunks()
    found = []
    for number in range(count):
        chosen = pa.Table.from_batches(table.slice(number * rows, rows).to_batches())
        encoded = executor.transform(to_tensors(chosen, executor.columns))
        found.append(Batch(chosen, scorer.score(encoded.ids_BF, encoded.dense_BC, encoded.bags)))
    return found


class JsonConnection:
    """A keep-alive connection to a gateway, for rows in JSON."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(url, timeout=30)

    def score(self, rows: list[dict[str, Any]]) -> list[float]:
        self._connection.request(
            "POST", "/v1/score", json.dumps({"rows": rows}), {"Content-Type": "application/json"}
        )
        answer = json.loads(self._connection.getresponse().read())
        scores: list[float] = answer[CLICK_PROBABILITY]
        return scores


def latency(benchmark: Benchmark, server: RunningServer, asked: list[Batch], scale: Scale) -> int:
    """One row at a time; returns the number of wrong scores."""
    wrong = 0
    with Client(server.http_url) as client:
        gateway, rows = JsonConnection(server.gateway_url), [batch.rows for batch in asked]
        tensors = [client.tensors(of_batch) for of_batch in rows]
        sides: dict[str, Callable[[int], Any]] = {
            OURS: lambda i: gateway.score(rows[i]),
            DIRECT: lambda i: client.score(rows[i]),
            PREPARED: lambda i: client.predict(tensors[i]),
        }
        p50: dict[str, list[float]] = {side: [] for side in sides}
        for turn in range(-1, scale.rounds):
            for side, ask in sides.items():
                taken = []
                for request in range(scale.requests_a_round):
                    batch = request % len(asked)
                    begin = time.perf_counter()
                    scores = ask(batch)
                    taken.append((time.perf_counter() - begin) * 1000.0)
                    wrong += np.float32(scores[0]) != asked[batch].scores[0]
                if turn >= 0:
                    p50[side].append(statistics.median(taken))
    benchmark.add("1 row in JSON, p50", "ms", p50)
    for peer in (DIRECT, PREPARED):
        pairs = zip(p50[OURS], p50[peer], strict=True)
        overhead = statistics.median(ours - theirs for ours, theirs in pairs)
        benchmark.at_most(f"ms over {peer}, 1 row", overhead, 0.5)
    return wrong


def load(benchmark: Benchmark, server: RunningServer, asked: list[Batch], scale: Scale) -> int:
    """Many rows in Arrow against prepared tensors; returns the number of wrong scores."""
    with Client(server.http_url) as client:
        direct = [Request.of(FUSED_MODEL, client.tensors(b.table), b.scores) for b in asked]
    gateway = [Request.of_gateway(b.table, b.scores) for b in asked]
    loads: list[tuple[Load, Load]] = []
    for in_flight in scale.in_flight:
        for _ in range(2):
            name = f"{in_flight} in flight"
            one = closed_loop(
                f"gateway, {name}", server.gateway_url, gateway, in_flight, scale.seconds
            )
            other = closed_loop(
                f"direct, {name}", server.http_url, direct, in_flight, scale.seconds
            )
            loads.append((one, other))
    benchmark.loads += [load.to_json() for pair in loads for load in pair]
    most = [max(pair[side].rows_a_second for pair in loads) for side in (0, 1)]
    name = f"rows/s of direct HTTP, {LOAD_ROWS:,} rows in Arrow"
    benchmark.at_least(f"share of the best {name}", most[0] / most[1], 0.7)
    ratios = [one.rows_a_second / other.rows_a_second for one, other in loads]
    benchmark.at_least(f"median share of the {name}", statistics.median(ratios), 0.7)
    return sum(load.wrong_scores for pair in loads for load in pair)


def withstand(benchmark: Benchmark, server: RunningServer, asked: list[Batch], count: int) -> int:
    """Hostile requests with valid ones between; returns the number of wrong scores."""
    draw, wrong, failed = random.Random(11), 0, 0
    address = ("127.0.0.1", server.gateway_port)
    for number in range(count):
        content = hostile_request(asked[0].rows[0], draw, {})
        send_and_leave(address, content, SECONDS_OF_A_HOSTILE_REQUEST)
        batch = asked[number % len(asked)]
        try:
            scores = JsonConnection(server.gateway_url).score(batch.rows)
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            failed += 1
            continue
        wrong += not np.array_equal(np.array(scores, np.float32), batch.scores)
    benchmark.notes.append(f"{count} hostile requests, and a valid one after each.")
    benchmark.at_most("valid requests between hostile ones that failed", failed, 0)
    return wrong


def main() -> None:
    options = parser(__doc__).parse_args()
    scale = QUICK if options.quick else FULL
    benchmark = Benchmark("gateway")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        served = export_criteo("kaggle", folder, scale.share, "fp32", Serving())
        benchmark.notes.append(f"kaggle: {served.embedding_rows}.")
        single, many = batches(served, 1, 64), batches(served, LOAD_ROWS, 8)
        with RunningServer(
            served.repository, folder / "server.log", ready_seconds=READY_SECONDS
        ) as server:
            wrong = latency(benchmark, server, single, scale)
            wrong += load(benchmark, server, many, scale)
            wrong += withstand(benchmark, server, single, scale.hostile)
            restarts = sum(server.restarts().values())
    benchmark.at_most("restarts of the server", restarts, 0)
    benchmark.at_most("scores that differ from offline", wrong, 0)
    benchmark.report(options.json)


if __name__ == "__main__":
    main()
