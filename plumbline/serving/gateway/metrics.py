"""The gateway's metrics, in Prometheus' text form, with those of Triton after them."""

from __future__ import annotations

import os
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from plumbline.serving.gateway.launcher import Launcher
from plumbline.serving.gateway.settings import METRICS_VARIABLE

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Metrics:
    """Counts of all processes of one gateway together.

    The launcher names the folder that they share in an environment variable of prometheus_client.

    | metric | counts |
    |---|---|
    | `plumbline_gateway_requests_total` | requests for scores, by HTTP status |
    | `plumbline_gateway_rows_total` | rows that got a score |
    | `plumbline_gateway_request_seconds` | time from a request's head to its answer |
    | `plumbline_gateway_in_flight` | requests that are converted or scored now |
    | `plumbline_ready` | 1 if the served models answered their check rows rightly |
    | `plumbline_server_start_time_seconds` | when the server was last ready after a start |
    | `plumbline_restarts_total` | restarts of the server behind the gateway, by cause |
    """

    def __init__(self, launcher: Launcher) -> None:
        self._registry = CollectorRegistry()
        self._of_launcher = _OfLauncher(launcher)
        self._requests = Counter(
            "plumbline_gateway_requests",
            "Requests for scores, by HTTP status",
            ["status"],
            registry=self._registry,
        )
        self.rows = Counter(
            "plumbline_gateway_rows", "Rows that got a score", registry=self._registry
        )
        self.in_flight = Gauge(
            "plumbline_gateway_in_flight",
            "Requests that are converted or scored now",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._seconds = Histogram(
            "plumbline_gateway_request_seconds",
            "Time from a request's head to its answer",
            buckets=_SECONDS,
            registry=self._registry,
        )

    def answered(self, status: int, seconds: float) -> None:
        self._requests.labels(str(status)).inc()
        self._seconds.observe(seconds)

    def text(self) -> bytes:
        told = CollectorRegistry()
        told.register(self._of_launcher)
        counted = self._registry
        if METRICS_VARIABLE in os.environ:
            counted = CollectorRegistry()
            MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
        return bytes(generate_latest(told) + generate_latest(counted))


class _OfLauncher(Collector):
    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "plumbline_ready",
            "Whether the served models answered their check rows rightly",
            value=float(self._launcher.is_ready),
        )
        yield GaugeMetricFamily(
            "plumbline_server_start_time_seconds",
            "Unix time at which the server was last ready after a start; 0 before the first",
            value=self._launcher.state.server_up_since,
        )
        restarts = CounterMetricFamily(
            "plumbline_restarts",
            "Restarts of the server behind the gateway, by cause",
            labels=["cause"],
        )
        for cause, count in self._launcher.state.restarts.items():
            restarts.add_metric([cause], count)
        yield restarts
