"""Measure the latency of requests, as a client sees it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from plumbline.columns.wire import Tensors
from plumbline.serving.client.client import Client

BATCH_SIZES = (1, 64, 1024)
WARMUP_REQUESTS = 20
SECONDS = 20.0
"""After these seconds a batch size has been timed long enough, if `LEAST_REQUESTS` are."""
LEAST_REQUESTS = 3

BINS_A_DOUBLING = 4
"""Bins of a histogram between a time and twice that time."""


def measure_latency(
    client: Client,
    tensors: Tensors,
    requests: int,
    batch_sizes: Iterable[int] = BATCH_SIZES,
) -> dict[str, dict[str, Any]]:
    """For each batch size, the milliseconds at the 50th and 99th percentile, and more:
    `{"1": {"p50":, "p99":, "rows_per_second":, "histogram": {"edges": [], "counts": []}}}`.

    Requests are sent one after another; the first few are not counted. The time includes building
    the request from tensors, sending it, serving, and reading the answer, but not converting
    columns to tensors. Each request has different rows of `tensors`, repeated if there are too few.
    With a slow model there are fewer requests: see `SECONDS`.

    `rows_per_second` is the throughput of this one client. Bin i of the histogram has the requests
    from `edges[i]` up to `edges[i + 1]` milliseconds.
    """
    return {
        str(rows): _summary(_milliseconds(client, tensors, rows, requests), rows)
        for rows in batch_sizes
    }


def _milliseconds(client: Client, tensors: Tensors, rows: int, requests: int) -> list[float]:
    available = len(next(iter(tensors.values())))
    milliseconds: list[float] = []
    started = time.perf_counter()
    for request in range(WARMUP_REQUESTS + requests):
        index = np.arange(request * rows, (request + 1) * rows) % available
        batch = {name: tensor[index] for name, tensor in tensors.items()}
        start = time.perf_counter()
        client.predict(batch)
        end = time.perf_counter()
        milliseconds.append((end - start) * 1000.0)
        if end - started > SECONDS and len(milliseconds) >= LEAST_REQUESTS:
            break
    return milliseconds[WARMUP_REQUESTS:] or milliseconds[1:]


def _summary(milliseconds: Sequence[float], rows: int) -> dict[str, Any]:
    p50, p99 = np.percentile(milliseconds, (50, 99))
    return {
        "p50": round(float(p50), 4),
        "p99": round(float(p99), 4),
        "rows_per_second": round(1000 * rows * len(milliseconds) / math.fsum(milliseconds)),
        "histogram": histogram(milliseconds),
    }


def histogram(milliseconds: Sequence[float]) -> dict[str, list[Any]]:
    """Counts of one or more positive times, in bins of equal ratio.

    >>> histogram([1.0, 1.1, 2.1])
    {'edges': [1.0, 1.1892, 1.4142, 1.6818, 2.0, 2.3784], 'counts': [2, 0, 0, 0, 1]}
    """
    bin_R = np.floor(BINS_A_DOUBLING * np.log2(milliseconds)).astype(np.int64)
    first = int(bin_R.min())
    counts = np.bincount(bin_R - first)
    edges = np.exp2(np.arange(first, first + len(counts) + 1) / BINS_A_DOUBLING)
    return {"edges": [round(edge, 4) for edge in edges.tolist()], "counts": counts.tolist()}
