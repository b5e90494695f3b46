"""A soak test: minutes of mixed requests at 70 % of capacity, without wrong answers or leaks.

Kaggle's configuration at Criteo's size. Requests arrive at random, for the ensemble, the fused
model and each backend, over HTTP and gRPC, of 1 to 2,048 rows; one in fifty is invalid and must be
refused. Every answer is compared with the one computed offline, bit for bit. The capacity is
measured first, with the same requests in a closed loop. A case's figures are the medians of each
tenth of the time.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.harness import OURS, Benchmark, parser
from benchmarks.serve_export import READY_SECONDS, export_criteo
from benchmarks.serve_load import Arrivals
from benchmarks.soak_memory import MemoryWatch
from benchmarks.soak_traffic import Answered, Piece, Sender, traffic
from plumbline.serving.launch.server import TritonServer
from plumbline.settings import Serving

SHARE_OF_CAPACITY = 0.7
IN_FLIGHT = 4
"""Requests in flight while the capacity is measured."""
SENDERS = 32
PIECES = 2000
"""Length of the drawn traffic, which repeats."""
OWN_MEMORY = "own memory of the server's processes"
SETTLED_SHARE = 0.2
"""Share of the time after which memory must not grow."""


def capacity(server: TritonServer, pieces: Sequence[Piece], seconds: float) -> float:
    """Requests a second in a closed loop."""
    end = time.perf_counter() + seconds

    def sender(number: int) -> int:
        connections, sent = Sender(server), 0
        while time.perf_counter() < end:
            connections.send(pieces[(number + sent * IN_FLIGHT) % len(pieces)])
            sent += 1
        connections.close()
        return sent

    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        return sum(pool.map(sender, range(IN_FLIGHT))) / seconds


def load(
    server: TritonServer, pieces: Sequence[Piece], rate: float, seconds: float
) -> list[Answered]:
    """Send `rate` requests a second, Poisson; times count from when the request was due."""
    begin = time.perf_counter() + 0.1
    due = Arrivals(begin, rate, begin + seconds)

    def sender(_: int) -> list[Answered]:
        connections, answered = Sender(server), []
        for number, at in due:
            time.sleep(max(0.0, at - time.perf_counter()))
            answered.append(connections.send(pieces[number % len(pieces)], at))
        connections.close()
        return answered

    with ThreadPoolExecutor(SENDERS) as pool:
        parts = pool.map(sender, range(SENDERS))
        return sorted((one for part in parts for one in part), key=lambda one: one.started)


def judge(benchmark: Benchmark, answered: Sequence[Answered], seconds: float) -> None:
    right = [one for one in answered if one.piece.expected is not None]
    wrong = [one for one in answered if one.piece.expected is None]
    _add_latencies(benchmark, right, seconds)
    rows = sum(one.piece.rows for one in right)
    benchmark.notes.append(
        f"{len(right):,} requests of {rows:,} rows, and {len(wrong):,} wrong ones."
    )
    errors = Counter(one.error for one in right if one.error)
    benchmark.notes += [f"{number} times: {error}" for error, number in errors.most_common(5)]
    benchmark.at_most("errors", sum(errors.values()), 0)
    differing = sum(not one.right and not one.error for one in right)
    benchmark.at_most("answers that differ from offline", differing, 0)
    benchmark.at_most(
        "wrong requests that were not refused", sum(not one.right for one in wrong), 0
    )


def _add_latencies(benchmark: Benchmark, answered: Iterable[Answered], seconds: float) -> None:
    tenths: dict[str, dict[int, list[float]]] = {}
    first = None
    for one in answered:
        first = one.started if first is None else first
        tenth = min(9, int(10 * (one.started - first) / seconds))
        milliseconds = (one.ended - one.started) * 1000.0
        tenths.setdefault(one.piece.name, {}).setdefault(tenth, []).append(milliseconds)
    for name, of_tenth in sorted(tenths.items()):
        medians = [float(np.median(taken)) for taken in of_tenth.values()]
        benchmark.add(name, "ms", {OURS: medians})


def judge_memory(benchmark: Benchmark, watch: MemoryWatch, seconds: float) -> None:
    first, last = watch.samples[0], watch.samples[-1]
    benchmark.notes.append(
        f"Memory of {last.processes} processes, from {first.own:.0f} to {last.own:.0f} MB of their "
        f"own; of mapped files from {first.mapped:.0f} to {last.mapped:.0f} MB."
    )
    settled = SETTLED_SHARE * seconds
    own = [sample.own for sample in watch.samples if sample.seconds >= settled]
    benchmark.add(OWN_MEMORY, "MB", {OURS: own})
    growth = 100.0 * watch.growth(settled, seconds)
    benchmark.at_most(f"% by which own memory grew after {settled / 60:.1f} minutes", growth, 1.0)


def main() -> None:
    wanted = parser(__doc__)
    wanted.add_argument("--minutes", type=float, default=10.0)
    options = wanted.parse_args()
    share, seconds = (1e-3, 10.0) if options.quick else (1.0, 60.0 * options.minutes)
    benchmark = Benchmark("soak")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        served = export_criteo("kaggle", folder, share, "fp32", Serving())
        pieces = traffic(*served.offline(), served.settings.max_batch_size, PIECES)
        with TritonServer(
            served.repository, folder / "server", ready_seconds=READY_SECONDS
        ) as server:
            most = capacity(server, pieces, min(20.0, seconds / 5))
            rate = SHARE_OF_CAPACITY * most
            with MemoryWatch(min(5.0, seconds / 40)) as watch:
                answered = load(server, pieces, rate, seconds)
    benchmark.notes.append(
        f"kaggle: {served.embedding_rows}. {most:.0f} requests/s at most, {rate:.0f} for "
        f"{seconds / 60:.1f} minutes."
    )
    judge(benchmark, answered, seconds)
    judge_memory(benchmark, watch, seconds)
    benchmark.report(options.json)


if __name__ == "__main__":
    main()
