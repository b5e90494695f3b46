"""A model that is slow starts, and a server that is overloaded with it counts as healthy."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from plumbline.serving.check.probe import probe
from plumbline.serving.client.client import Client
from plumbline.serving.errors import ServerBusy, ServerUnavailable
from plumbline.serving.launch.health import Health
from plumbline.serving.launch.server import TritonServer
from plumbline.serving.repository import release
from plumbline.settings import Serving
from tests.serving.releases import ROWS, export_repository, model_of, write_small_plan

SLOW = """

import time

_computed = TritonPythonModel._computed


def slowly(self, tensors):
    time.sleep(0.1)
    return _computed(self, tensors)


TritonPythonModel._computed = slowly
"""
CLIENTS = 20
ROWS_A_PASS = 2048
"""The warm-up's largest samples are 1,024 and 2,048 requests of one row; 256 may wait."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    folder = tmp_path_factory.mktemp("slow")
    entry_of = release._entry

    def slow_entry(model: str) -> Path:
        entry = folder / f"{model}.py"
        entry.write_text(entry_of(model).read_text() + SLOW)
        return entry

    patch = pytest.MonkeyPatch()
    patch.setattr(release, "_entry", slow_entry)
    plan = write_small_plan(folder / "plan", ["Oslo"])
    model = model_of(plan, folder / "model", seed=1)
    settings = Serving(max_batch_size=ROWS_A_PASS, queue_timeout_ms=60_000)
    repository = export_repository(plan, model, folder / "out", settings, ROWS)
    patch.undo()
    with TritonServer(repository, folder / "work") as running:
        yield running


def test_its_warm_up_fails_neither_the_start_nor_the_metrics(server: TritonServer) -> None:
    assert probe(server.http_url, "http", server.repository, 10.0).startswith("4 models")
    assert "warmup" not in server.log.read_text()


@pytest.mark.parametrize("model", ["ctr", "ctr_fused"])
def test_an_overloaded_server_is_healthy(server: TritonServer, model: str) -> None:
    """Every client's requests fill a pass, so the last of them waits for seconds."""
    ends = threading.Event()
    rows = ROWS.take([0, 1, 2] * (ROWS_A_PASS // 3))

    def keep_asking() -> None:
        with Client(server.grpc_url, "grpc", model, retries=None) as client:
            tensors = client.tensors(rows)
            while not ends.is_set():
                with suppress(ServerUnavailable):
                    client.predict(tensors)

    clients = [threading.Thread(target=keep_asking) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(1.0)
    try:
        with Health(server.repository, server.http_url, {}) as health:
            assert health.check(set()) is None
        with pytest.raises(ServerBusy, match=f"Model '{model}'"):
            probe(server.http_url, "http", server.repository, 2.0)
    finally:
        ends.set()
        for client in clients:
            client.join()
