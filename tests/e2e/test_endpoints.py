"""Every endpoint of a real server: open, with the secret, or closed, as docs/server.md says."""

import http.client
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pytest
from tritonclient.grpc import service_pb2 as messages
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from plumbline.serving.client.connection import SECRET_HEADER, secret_header
from plumbline.serving.launch.binary import find_server
from plumbline.serving.launch.ports import Ports
from plumbline.serving.launch.server import TritonServer
from plumbline.serving.launch.server_options import ServerOptions
from tests.serving.releases import SETTINGS, export_repository, model_of, write_small_plan

SECRET = "secret/of~the.test=+-_"
ROWS = pa.table({"price": [1.0, None, 3.0], "city": ["Oslo", None, "Atlantis"]})

HTTP = {
    "open": ["GET /v2/health/live", "GET /v2/health/ready", "GET /v2/models/ctr/ready"],
    "secret": [
        "GET /v2",
        "GET /v2/models/ctr",
        "GET /v2/models/ctr/config",
        "GET /v2/models/ctr/stats",
        "GET /v2/models/stats",
        "POST /v2/models/ctr/infer",
        "POST /v2/models/ctr/versions/1/infer",
        "POST /v2/models/ctr/generate",
        "POST /v2/models/ctr/generate_stream",
    ],
    "closed": [
        "POST /v2/repository/index",
        "POST /v2/repository/models/ctr/load",
        "POST /v2/repository/models/ctr/unload",
        "POST /v2/repository/other/models/ctr/load",
        "GET /v2/systemsharedmemory/status",
        "POST /v2/systemsharedmemory/region/r/register",
        "POST /v2/systemsharedmemory/region/r/unregister",
        "POST /v2/systemsharedmemory/unregister",
        "GET /v2/cudasharedmemory/status",
        "POST /v2/cudasharedmemory/region/r/register",
        "POST /v2/cudasharedmemory/region/r/unregister",
        "POST /v2/cudasharedmemory/unregister",
        "GET /v2/trace/setting",
        "POST /v2/trace/setting",
        "GET /v2/models/ctr/trace/setting",
        "POST /v2/models/ctr/trace/setting",
        "GET /v2/logging",
        "POST /v2/logging",
    ],
}
GRPC = {
    "open": ["ServerLive", "ServerReady", "ModelReady"],
    "secret": [
        "ServerMetadata",
        "ModelMetadata",
        "ModelInfer",
        "ModelStreamInfer",
        "ModelConfig",
        "ModelStatistics",
    ],
    "closed": [
        "RepositoryIndex",
        "RepositoryModelLoad",
        "RepositoryModelUnload",
        "SystemSharedMemoryStatus",
        "SystemSharedMemoryRegister",
        "SystemSharedMemoryUnregister",
        "CudaSharedMemoryStatus",
        "CudaSharedMemoryRegister",
        "CudaSharedMemoryUnregister",
        "TraceSetting",
        "LogSettings",
    ],
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    plan = write_small_plan(folder / "plan", ["Oslo", "Rome"])
    model = model_of(plan, folder / "model", seed=1)
    return export_repository(plan, model, folder / "out", SETTINGS, ROWS)


@pytest.fixture(scope="module")
def cloud_port() -> int:
    return Ports.free().resolved("127.0.0.1").http


@pytest.fixture(scope="module")
def server(
    repository: Path, cloud_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TritonServer]:
    """Scoring needs the secret. The environment is that of two clouds' prediction services."""
    options = ServerOptions(protect_scoring=True, secret=SECRET)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("AIP_MODE", "PREDICTION"),
            ("AIP_HTTP_PORT", str(cloud_port)),
            ("AIP_PREDICT_ROUTE", "/predict"),
            ("AIP_HEALTH_ROUTE", "/health"),
            ("AIP_STORAGE_URI", "gs://bucket/models"),
            ("SAGEMAKER_TRITON_DEFAULT_MODEL_NAME", "ctr"),
        ):
            patch.setenv(name, value)
        work = tmp_path_factory.mktemp("server")
        with TritonServer(repository, work, options=options, ready_seconds=20.0) as running:
            yield running


def test_no_clouds_endpoint_listens(server: TritonServer, cloud_port: int) -> None:
    log = server.log.read_text(errors="replace")
    assert "Vertex AI" not in log and "Sagemaker" not in log
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", cloud_port), timeout=5).close()


def test_the_log_names_every_service_that_listens(server: TritonServer) -> None:
    started = [line for line in server.log.read_text().splitlines() if "Started " in line]
    assert len(started) == 3
    assert all(
        any(f"Started {name} at 127.0.0.1:" in line for line in started)
        for name in ("GRPCInferenceService", "HTTPService", "Metrics Service")
    )


@pytest.mark.parametrize("access", HTTP)
def test_http_endpoints(server: TritonServer, access: str) -> None:
    for endpoint in HTTP[access]:
        without, with_secret = (
            answer(server, endpoint, {}),
            answer(server, endpoint, secret_header("http", SECRET_HEADER, SECRET)),
        )
        assert is_refused(without) is (access != "open"), f"{endpoint}: {without}"
        assert is_refused(with_secret) is (access == "closed"), f"{endpoint}: {with_secret}"


def answer(server: TritonServer, endpoint: str, shown: dict[str, str]) -> str:
    method, _, path = endpoint.partition(" ")
    connection = http.client.HTTPConnection(server.http_url, timeout=10)
    try:
        connection.request(method, path, body="{}" if method == "POST" else None, headers=shown)
        return connection.getresponse().read().decode(errors="replace")
    finally:
        connection.close()


def is_refused(text: str) -> bool:
    return "restricted" in text


@pytest.mark.parametrize("access", GRPC)
def test_grpc_methods(server: TritonServer, access: str) -> None:
    shown = secret_header("grpc", SECRET_HEADER, SECRET).items()
    with grpc.insecure_channel(server.grpc_url) as channel:
        stub = GRPCInferenceServiceStub(channel)
        for method in GRPC[access]:
            without, with_secret = failure(stub, method, ()), failure(stub, method, tuple(shown))
            assert is_refused(without) is (access != "open"), f"{method}: {without}"
            assert is_refused(with_secret) is (access == "closed"), f"{method}: {with_secret}"


def failure(stub: Any, method: str, metadata: tuple[tuple[str, str], ...]) -> str:
    """The error of a call with an empty message; empty if there is none."""
    call: Callable[..., Any] = getattr(stub, method)
    message = getattr(messages, f"{method.replace('ModelStreamInfer', 'ModelInfer')}Request")()
    try:
        if method == "ModelStreamInfer":
            answers = list(call(iter([message]), metadata=metadata, timeout=10))
            return " ".join(one.error_message for one in answers)
        call(message, metadata=metadata, timeout=10)
    except grpc.RpcError as error:
        return str(error.details())
    return ""


def test_the_wheels_server_takes_its_own_options() -> None:
    binary = find_server()
    assert binary.takes("--allow-vertex-ai") and not binary.takes("--allow-client-shm")


def test_the_tables_have_every_grpc_method() -> None:
    service = messages.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    assert {method.name for method in service.methods} == {
        method for methods in GRPC.values() for method in methods
    }
