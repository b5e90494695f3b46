"""The latency of a server that takes long is measured by fewer requests."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from plumbline.columns.wire import Tensors
from plumbline.serving.check import latency
from plumbline.serving.check.latency import LEAST_REQUESTS, WARMUP_REQUESTS, measure_latency
from plumbline.serving.client.client import Client

REQUESTS = 5


class FakeClient:
    """Each request moves the clock on by `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.now, self.requests = seconds, 0.0, 0

    def predict(self, tensors: Tensors) -> None:
        self.requests += 1
        self.now += self.seconds

    def perf_counter(self) -> float:
        return self.now


def measured(client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(latency, "time", client)
    tensors: Tensors = {"continuous": np.zeros((7, 1), np.float32)}
    return measure_latency(cast(Client, client), tensors, REQUESTS, [2])["2"]


def test_all_requests_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    client = FakeClient(0.25)
    assert measured(client, monkeypatch)["p50"] == 250.0
    assert client.requests == WARMUP_REQUESTS + REQUESTS


def test_a_slow_model_is_timed_by_few_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    client = FakeClient(64.0)
    assert measured(client, monkeypatch)["p50"] == 64_000.0
    assert client.requests == LEAST_REQUESTS


def test_time_ends_during_the_timed_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    client = FakeClient(0.96875)  # the 21st request ends after 20.3 s
    assert measured(client, monkeypatch)["p50"] == 968.75
    assert client.requests == WARMUP_REQUESTS + 1
