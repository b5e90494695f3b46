"""Measure the latency of requests, as a client sees it."""

from __future__ import annotations

import time
from collections.abc import Iterable

import numpy as np

from plumbline.columns.wire import Tensors
from plumbline.serving.client.client import Client

BATCH_SIZES = (1, 64, 1024)
WARMUP_REQUESTS = 20
SECONDS = 20.0
"""After these seconds a batch size has been timed long enough, if `LEAST_REQUESTS` are."""
LEAST_REQUESTS = 3


def measure_latency(
    client: Client,
    tensors: Tensors,
    requests: int,
    batch_sizes: Iterable[int] = BATCH_SIZES,
) -> dict[str, dict[str, float]]:
    """Milliseconds at the 50th and 99th percentile, for each batch size: `{"1": {"p50":, "p99":}}`.

    Requests are sent one after another; the first few are not counted. The time includes building
    the request from tensors, sending it, serving, and reading the answer, but not converting
    columns to tensors. Each request has different rows of `tensors`, repeated if there are too few.
    With a slow model there are fewer requests: see `SECONDS`.
    """
    return {
        str(rows): _percentiles(_milliseconds(client, tensors, rows, requests))
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


def _percentiles(milliseconds: list[float]) -> dict[str, float]:
    p50, p99 = np.percentile(milliseconds, (50, 99))
    return {"p50": round(float(p50), 4), "p99": round(float(p99), 4)}
