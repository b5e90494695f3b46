"""Both clients and a server that rejects, disconnects or does not answer; without Triton."""

import asyncio
import json
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import json_format
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

from plumbline.serving import client as clients
from plumbline.serving.client import AsyncClient, Client
from plumbline.serving.client.connection import Connection, Tls, secret_header
from plumbline.serving.client.retries import Retries
from plumbline.serving.errors import RequestRefused, ServerError, ServerUnavailable

CONFIG = {
    "name": "ctr_fused",
    "max_batch_size": 2,
    "parameters": {
        "kinds": {"string_value": json.dumps({"x": "continuous"})},
        "plan_hash": {"string_value": "p"},
        "model_hash": {"string_value": "m"},
    },
}
AT_ONCE = Retries(attempts=3, first_delay_seconds=0.0)
FULL = (503, {"error": "Exceeds maximum queue size"})
BREAK_OFF = (0, {})
NO_ANSWER = (1, {})


class Stub:
    """Answers each request with the next status and JSON body, or not; the last one repeats."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = [(200, CONFIG)]
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.end = threading.Event()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                stub.headers.append({name.lower(): value for name, value in self.headers.items()})
                stub.paths.append(self.path)
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, body = stub.answers[0]
                stub.answers = stub.answers[1:] or stub.answers
                if status == NO_ANSWER[0]:
                    stub.end.wait(20)
                if status < 200:
                    self.close_connection = True
                    return
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A client that breaks off is part of the tests."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def stub() -> Iterator[Stub]:
    running = Stub()
    yield running
    running.end.set()
    running.server.shutdown()
    running.server.server_close()


def score_blocking(url: str, rows: int = 1, **options: Any) -> Any:
    with Client(url, **options) as client:
        return client.score({"x": [1.0] * rows})


def score_async(url: str, rows: int = 1, **options: Any) -> Any:
    async def score() -> Any:
        async with AsyncClient(url, **options) as client:
            return await client.score({"x": [1.0] * rows})

    return asyncio.run(score())


both = pytest.mark.parametrize("score", [score_blocking, score_async], ids=["blocking", "async"])
Score = Callable[..., Any]


@both
@pytest.mark.parametrize("trouble", [FULL, BREAK_OFF], ids=["full", "broken off"])
def test_a_request_that_was_not_accepted_is_retried(stub: Stub, score: Score, trouble: Any) -> None:
    stub.answers = [trouble, (200, CONFIG), trouble, trouble, (400, {"error": "that far"})]
    with pytest.raises(ServerError, match="that far"):
        score(stub.url, retries=AT_ONCE)
    assert len(stub.paths) == 5


@both
def test_no_request_is_retried_with_retries_off(stub: Stub, score: Score) -> None:
    stub.answers = [(200, CONFIG), FULL]
    with pytest.raises(ServerUnavailable, match=r"Exceeds maximum queue size$"):
        score(stub.url, retries=None)
    assert len(stub.paths) == 2


@both
def test_the_last_attempt_raises_its_error(stub: Stub, score: Score) -> None:
    stub.answers = [(200, CONFIG), FULL]
    with pytest.raises(ServerUnavailable, match=r"Exceeds maximum queue size \(3 attempts in"):
        score(stub.url, retries=AT_ONCE)
    assert len(stub.paths) == 4


@both
@pytest.mark.parametrize("status", [400, 404, 500])
def test_an_error_of_the_request_is_not_retried(stub: Stub, score: Score, status: int) -> None:
    stub.answers = [(200, CONFIG), (status, {"error": "no such thing"})]
    with pytest.raises(ServerError, match=f"Triton at {stub.url}: no such thing") as raised:
        score(stub.url, retries=AT_ONCE)
    assert isinstance(raised.value, RequestRefused) == (status == 400)
    assert not isinstance(raised.value, ServerUnavailable)
    assert len(stub.paths) == 2


@both
def test_a_request_that_times_out_is_not_retried(stub: Stub, score: Score) -> None:
    stub.answers = [(200, CONFIG), NO_ANSWER]
    with pytest.raises(ServerError, match="did not answer within the time limit"):
        score(stub.url, timeout_seconds=0.2, retries=AT_ONCE)
    assert len(stub.paths) == 2


@both
def test_one_of_several_requests_fails(stub: Stub, score: Score) -> None:
    stub.answers = [(200, CONFIG), (400, {"error": "not these rows"})]
    with pytest.raises(ServerError, match="not these rows"):
        score(stub.url, rows=9)


@both
def test_headers_and_version_go_with_every_request(stub: Stub, score: Score) -> None:
    stub.answers = [(200, CONFIG), (400, {"error": "enough"})]
    with pytest.raises(ServerError, match="enough"):
        score(stub.url, headers={"X-Key": "k"}, version="7")
    assert [headers["x-key"] for headers in stub.headers] == ["k", "k"]
    assert stub.paths == [
        "/v2/models/ctr_fused/versions/7/config",
        "/v2/models/ctr_fused/versions/7/infer",
    ]


@both
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_no_server(score: Score, protocol: str) -> None:
    with pytest.raises(ServerUnavailable, match=r"cannot be reached .*\(3 attempts in"):
        score("127.0.0.1:1", protocol=protocol, retries=AT_ONCE)


@both
def test_an_answer_without_tls(stub: Stub, score: Score) -> None:
    with pytest.raises(ServerError, match="speaks HTTP without TLS: leave TLS out") as raised:
        score(stub.url, tls=Tls(), retries=AT_ONCE)
    assert type(raised.value) is ServerError


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for `localhost`, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    file, key = folder / "certificate.pem", folder / "key.pem"
    form = (
        "-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost"
    )
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", file]
    subprocess.run([openssl, "req", *form.split(), *names], check=True, capture_output=True)
    return file, key


@both
def test_https_with_a_trusted_server(
    stub: Stub, score: Score, certificate: tuple[Path, Path]
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    stub.server.socket = context.wrap_socket(stub.server.socket, server_side=True)
    stub.answers = [(200, CONFIG), (400, {"error": "reached"})]
    url = f"localhost:{stub.server.server_port}"
    with pytest.raises(ServerError, match="reached"):
        score(url, tls=Tls(certificate[0]))
    with pytest.raises(ServerError, match=r"the TLS handshake failed .*CERTIFICATE_VERIFY_FAILED"):
        score(url, tls=Tls())
    with pytest.raises(ServerError, match=r"the TLS handshake failed .*match"):
        score(stub.url, tls=Tls(certificate[0]))
    with pytest.raises(ServerError, match=f"{url} speaks TLS: give the certificates .*--ca"):
        score(url, retries=None)


def test_grpc_with_a_trusted_server(certificate: tuple[Path, Path]) -> None:
    stub = GrpcStub()
    file, key = certificate
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), file.read_bytes())])

    async def score(url: str) -> Any:
        async with AsyncClient(url, "grpc", tls=Tls(file)) as client:
            return await client.score({"x": 1.0})

    with stub.running(credentials=credentials) as port:
        url = f"localhost:{port}"
        with Client(url, "grpc", tls=Tls(file)) as client:
            assert client.score({"x": 1.0}).tolist() == [0.25]
        assert asyncio.run(score(url)).tolist() == [0.25]
        with pytest.raises(ServerError, match=f"Triton at {url}"):
            Client(url, "grpc", tls=Tls(), retries=None)
        with pytest.raises(ServerError, match=f"{url} speaks TLS: give the certificates .*--ca"):
            Client(url, "grpc", retries=None)


class GrpcStub(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers with a probability for every row, or with an error if it has one."""

    def __init__(self) -> None:
        self.refusals: list[tuple[grpc.StatusCode, str]] = []
        self.metadata: list[dict[str, str]] = []

    def ModelConfig(self, request: Any, context: Any) -> Any:
        config = json_format.ParseDict(CONFIG, model_config_pb2.ModelConfig())
        return service_pb2.ModelConfigResponse(config=config)

    def ModelInfer(self, request: Any, context: Any) -> Any:
        self.metadata.append(dict(context.invocation_metadata()))
        if self.refusals:
            context.abort(*self.refusals.pop(0))
        rows = request.inputs[0].shape[0]
        tensor = service_pb2.ModelInferResponse.InferOutputTensor(
            name="click_probability", datatype="FP32", shape=[rows, 1]
        )
        content = np.full(rows, 0.25, np.float32).tobytes()
        return service_pb2.ModelInferResponse(outputs=[tensor], raw_output_contents=[content])

    @contextmanager
    def running(self, port: int = 0, credentials: Any = None) -> Iterator[int]:
        server = grpc.server(ThreadPoolExecutor(2))
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(self, server)
        if credentials is None:
            taken = server.add_insecure_port(f"127.0.0.1:{port}")
        else:
            taken = server.add_secure_port(f"localhost:{port}", credentials)
        server.start()
        try:
            yield taken
        finally:
            server.stop(0).wait()


def test_grpc_only_retries_requests_that_were_not_accepted() -> None:
    stub = GrpcStub()
    full = (grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size")
    refused = (grpc.StatusCode.INVALID_ARGUMENT, "no such tensor")
    with stub.running() as port:
        url = f"127.0.0.1:{port}"
        with Client(url, "grpc", retries=AT_ONCE, headers={"X-Key": "k"}) as client:
            stub.refusals = [full, full]
            assert client.score({"x": [1.0] * 5}).tolist() == [0.25] * 5
            assert len(stub.metadata) == 5, "three requests, the first one sent three times"
            assert all(sent["x-key"] == "k" for sent in stub.metadata)
            stub.refusals = [refused, full]
            with pytest.raises(ServerError, match="no such tensor"):
                client.score({"x": 1.0})
            assert len(stub.metadata) == 6

        async def score() -> Any:
            async with AsyncClient(url, "grpc", retries=AT_ONCE) as client:
                stub.refusals = [full, full]
                return await client.score({"x": [1.0] * 5})

        assert asyncio.run(score()).tolist() == [0.25] * 5


def test_a_cancelled_task_does_not_cancel_its_grpc_call() -> None:
    """Triton before 2.59 may crash when a call is cancelled."""
    arrived, go_on = threading.Event(), threading.Event()
    ends: list[bool] = []

    class Slow(GrpcStub):
        def ModelInfer(self, request: Any, context: Any) -> Any:
            arrived.set()
            go_on.wait(20)
            ends.append(context.is_active())
            return super().ModelInfer(request, context)

    async def ask_and_leave(url: str) -> None:
        async with AsyncClient(url, "grpc") as client:
            task = asyncio.ensure_future(client.score({"x": 1.0}))
            await asyncio.to_thread(arrived.wait, 20)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            asyncio.get_running_loop().call_later(0.1, go_on.set)

    with Slow().running() as port:
        asyncio.run(ask_and_leave(f"127.0.0.1:{port}"))
    assert ends == [True]


@both
def test_the_other_protocol_is_reported(stub: Stub, score: Score) -> None:
    with pytest.raises(ServerError, match=rf"{stub.url} speaks HTTP: give --protocol http \("):
        score(stub.url, protocol="grpc", retries=AT_ONCE)
    with GrpcStub().running() as port:
        with pytest.raises(ServerError, match=rf":{port} speaks gRPC: give --protocol grpc \("):
            score(f"127.0.0.1:{port}", protocol="http", retries=AT_ONCE)
        with pytest.raises(ServerError, match=rf":{port} speaks gRPC without TLS: leave TLS out"):
            score(f"127.0.0.1:{port}", protocol="grpc", tls=Tls(), retries=AT_ONCE)


def test_a_restarted_grpc_server_is_found() -> None:
    stub = GrpcStub()
    with stub.running() as port:
        hasty = Client(f"127.0.0.1:{port}", "grpc", retries=None)
        client = Client(f"127.0.0.1:{port}", "grpc", retries=Retries(9, 0.05, total_seconds=20))
    with hasty, client:
        with pytest.raises(ServerUnavailable):
            hasty.score({"x": 1.0})
        with stub.running(port):
            assert client.score({"x": 1.0}).tolist() == [0.25]


def test_no_rows_need_no_request(stub: Stub) -> None:
    assert score_blocking(stub.url, rows=0).shape == (0,)
    assert score_async(stub.url, rows=0).dtype == np.float32


def test_an_async_client_is_used_inside_its_block() -> None:
    client = AsyncClient("127.0.0.1:1")
    with pytest.raises(ServerError, match=r"not connected\. Use it inside `async with"):
        client.tensors({})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "http://127.0.0.1:8000"}, "without a scheme"),
        ({"protocol": "https"}, "wanted 'http' or 'grpc', got 'https'"),
        ({"timeout_seconds": 0.0}, "seconds above 0"),
    ],
)
def test_an_invalid_connection_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ServerError, match=message):
        Connection(**{"url": "127.0.0.1:8000", **options})


def test_secrets_are_not_shown() -> None:
    assert "s3cret" not in repr(Connection("a:1", headers=secret_header("http", "key", "s3cret")))


def test_files_of_tls_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match=r"none.pem: wanted a PEM file"):
        Tls(tmp_path / "none.pem")
    (tmp_path / "bad.pem").write_text("no certificate")
    with pytest.raises(ServerError, match="a certificate without its key"):
        Tls(certificate=tmp_path / "bad.pem")
    with pytest.raises(ServerError, match="cannot be read"):
        Tls(tmp_path / "bad.pem").context()


def test_grpc_retries_after_the_fault_of_another_request_but_not_without_the_secret() -> None:
    stub = GrpcStub()
    spoilt = (grpc.StatusCode.INTERNAL, "incomplete string data for inference input 'shop'")
    closed = (grpc.StatusCode.UNAVAILABLE, "This protocol is restricted, expecting header 'secret'")
    with stub.running() as port, Client(f"127.0.0.1:{port}", "grpc", retries=AT_ONCE) as client:
        stub.refusals = [spoilt]
        assert client.score({"x": 1.0}).tolist() == [0.25]
        assert len(stub.metadata) == 2
        stub.refusals = [closed]
        with pytest.raises(ServerError, match="restricted") as caught:
            client.score({"x": 1.0})
        assert not isinstance(caught.value, ServerUnavailable)
        assert len(stub.metadata) == 3


@pytest.mark.parametrize(
    ("header", "remedy"),
    [("plumbline-closed", "--allow-model-control"), ("plumbline-secret", "--secret-file")],
)
def test_a_closed_endpoint_says_what_opens_it(header: str, remedy: str) -> None:
    stub = GrpcStub()
    restricted = f"This protocol is restricted, expecting header 'triton-grpc-protocol-{header}'"
    with stub.running() as port, Client(f"127.0.0.1:{port}", "grpc", retries=AT_ONCE) as client:
        stub.refusals = [(grpc.StatusCode.UNAVAILABLE, restricted)]
        with pytest.raises(ServerError, match=remedy):
            client.score({"x": 1.0})


def test_an_import_is_light() -> None:
    """Clients are imported when they are used, without libraries for training."""
    check = (
        "import sys, plumbline.serving.client as clients; "
        "assert 'pyarrow' not in sys.modules and 'tritonclient' not in sys.modules; "
        "clients.Client, clients.AsyncClient; "
        "heavy = {'torch', 'nvtabular', 'merlin', 'dask', 'pandas', 'grpc', 'gevent', 'aiohttp'}; "
        "sys.exit(', '.join(heavy & sys.modules.keys()) or 0)"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
    with pytest.raises(AttributeError, match="has no attribute 'Clients'"):
        clients.Clients  # noqa: B018
