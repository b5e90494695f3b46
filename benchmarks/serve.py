"""The exported repository on a real Triton server, compared with the server's own overhead.

It first compares our feature step with Merlin Systems' of the same workflow. Then, for Kaggle's and
the article's configurations at Criteo's size (26 vocabularies of 33.8 M values and their embedding
tables), it measures the time from start to ready; the latency of `ctr_fused` and of the ensemble
`ctr` against no-op models of the same inputs and outputs, alternately, over HTTP and gRPC; and
`ctr_fused` under load, from one request in flight to 64, and in overload. All scores are compared
with those computed offline.

Compared models run on one server. The client runs on the same machine and takes its share of the
cores. The repository was written and read just before, so its files are in the page cache if they
fit.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from benchmarks.criteo_plan import requests_of
from benchmarks.harness import OURS, Benchmark, has_amx, parser
from benchmarks.serve_export import ARCHITECTURES, READY_SECONDS, Served, export_criteo
from benchmarks.serve_latency import Batches, Latency, clients, measure_latency
from benchmarks.serve_load import Load
from benchmarks.serve_merlin import against_merlin
from benchmarks.serve_noop import NOOP, NOOP_ENSEMBLE, add_noops
from benchmarks.serve_plot import plot
from benchmarks.serve_requests import Request
from benchmarks.serve_saturation import judge, saturate
from plumbline.columns.wire import Tensors
from plumbline.dlrm.model.architecture import RowPrecision
from plumbline.serving.client.connection import Protocol
from plumbline.serving.contract.interface import ENSEMBLE_MODEL, FUSED_MODEL
from plumbline.serving.launch.server import TritonServer
from plumbline.settings import Serving

ENSEMBLE, NOTHING, NOTHING_TWICE = "ensemble", "no-op", "ensemble of no-ops"
SIDES = {
    OURS: FUSED_MODEL,
    ENSEMBLE: ENSEMBLE_MODEL,
    NOTHING: NOOP,
    NOTHING_TWICE: NOOP_ENSEMBLE,
}
ROWS: dict[str, RowPrecision] = {"kaggle": "fp32", "article": "bf16"}
"""The article's tables take 17 GB in fp32."""
LEAST_ROWS = {"kaggle": 150_000.0, "article": 60_000.0}
LEAST_ROWS_WITH_TILES = {"kaggle": 350_000.0, "article": 117_000.0}
"""On a processor with AMX."""
LOAD_ROWS = 2048
MERLIN_PART = "merlin"
PARTS = (MERLIN_PART, *ARCHITECTURES)
QUICK_PARTS = (MERLIN_PART, "kaggle")


@dataclass(frozen=True, slots=True)
class Scale:
    share: float
    """Share of the vocabularies and tables."""
    fitted_rows: int
    rounds: int
    requests_a_round: Mapping[int, int]
    """Requests by number of rows per request."""
    in_flight: tuple[int, ...]
    seconds: float
    """Duration of each load."""
    load_requests: int
    """Number of prepared requests, which repeat."""


FULL = Scale(1.0, 200_000, 12, {1: 200, 64: 100, 1024: 20}, (1, 2, 4, 8, 16, 32, 64), 4.0, 16)
QUICK = Scale(1e-3, 2000, 2, {1: 20, 64: 5, 1024: 2}, (1, 4), 0.5, 4)


def measure(
    benchmark: Benchmark, name: str, rows: RowPrecision, scale: Scale, folder: Path
) -> list[Load]:
    """Measure one configuration on its own server; returns the loads of the closed loops."""
    served = export_criteo(name, folder, scale.share, rows, Serving())
    benchmark.notes.append(f"{name}: {served.embedding_rows}.")
    add_noops(served.repository)
    sizes, load_batches = _batches(served, scale)
    requests = [
        Request.of(FUSED_MODEL, tensors, expected)
        for tensors, expected in zip(load_batches.tensors, load_batches.expected, strict=True)
    ]
    server = TritonServer(served.repository, folder / "server", ready_seconds=READY_SECONDS)
    start = time.perf_counter()
    with server:
        ready = time.perf_counter() - start
        benchmark.add(f"{name}, start to ready", "s", {OURS: [ready]})
        benchmark.at_most(f"{name}: s from start to ready", ready, 20.0)
        wrong = _latencies(benchmark, name, server, sizes, scale)
        saturation = saturate(
            name, server.http_url, requests, scale.in_flight, scale.seconds, served.settings
        )
    least_rows = LEAST_ROWS_WITH_TILES if has_amx() else LEAST_ROWS
    judge(benchmark, name, saturation, served.settings, least_rows[name])
    benchmark.at_most(
        f"{name}: scores that differ from offline", wrong + saturation.wrong_scores, 0
    )
    return saturation.closed


def _batches(served: Served, scale: Scale) -> tuple[list[Batches], Batches]:
    """The batches of the latencies, and the batches of the loads."""
    counts = {**scale.requests_a_round, LOAD_ROWS: scale.load_requests}
    executor, scorer = served.offline()

    def probability_B(request: Tensors) -> NDArray[np.float32]:
        encoded = executor.transform(request)
        return scorer.score(encoded.ids_BF, encoded.dense_BC, encoded.bags)

    batches = []
    for rows, count in counts.items():
        tensors = requests_of(rows, count)
        batches.append(Batches(rows, tensors, [*map(probability_B, tensors)], count))
    return batches[:-1], batches[-1]


def _latencies(
    benchmark: Benchmark, name: str, server: TritonServer, sizes: list[Batches], scale: Scale
) -> int:
    """Measure latencies; returns the number of wrong scores."""
    wrong = 0
    for protocol in get_args(Protocol):
        with clients(server, protocol, SIDES) as client:
            for batches in sizes:
                case = f"{name}, {protocol}"
                latency = measure_latency(
                    benchmark, case, client, (OURS, ENSEMBLE), batches, scale.rounds
                )
                _judge_latency(benchmark, case, batches.rows, latency)
                wrong += latency.wrong_scores
    return wrong


def _judge_latency(benchmark: Benchmark, case: str, rows: int, latency: Latency) -> None:
    if case.startswith("kaggle") and rows == 1:
        for side, peer, most in ((OURS, NOTHING, 1.3), (ENSEMBLE, NOTHING, 1.6)):
            model = SIDES[side]
            benchmark.at_most(
                f"{case}: {model} over a no-op, 1 row", latency.times(side, peer), most
            )
    most_ms = {1: 1.0, 64: 2.0}
    if case.startswith("article") and rows in most_ms:
        benchmark.at_most(
            f"{case}: ms of {FUSED_MODEL}, {rows} rows", latency.p50.median(OURS), most_ms[rows]
        )


def main() -> None:
    wanted = parser(__doc__)
    wanted.add_argument("--part", choices=PARTS, action="append", help="that alone; may repeat")
    wanted.add_argument(
        "--fp32-rows", action="store_true", help="the article's tables too: 17 GB, and twice that"
    )
    wanted.add_argument("--plot", type=Path, metavar="FILE", help="draw the loads there")
    options = wanted.parse_args()
    scale = QUICK if options.quick else FULL
    benchmark, loads = Benchmark("serve"), {}
    for part in options.part or (QUICK_PARTS if options.quick else PARTS):
        with tempfile.TemporaryDirectory() as folder:
            if part == MERLIN_PART:
                against_merlin(benchmark, Path(folder), scale.fitted_rows, scale.rounds)
            else:
                rows = "fp32" if options.fp32_rows else ROWS[part]
                loads[part] = measure(benchmark, part, rows, scale, Path(folder))
    benchmark.report(options.json)
    if options.plot is not None and loads:
        plot(loads, f"{FUSED_MODEL}, {LOAD_ROWS:,} rows a request", options.plot)


if __name__ == "__main__":
    main()
