"""What a real server closes, and to whom it opens the rest: loopback, secret, TLS, and no leaks."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from tritonclient.utils import InferenceServerException

from plumbline.serving.client.client import Client
from plumbline.serving.client.connection import (
    SECRET_HEADER,
    SECRET_VARIABLE,
    Connection,
    Tls,
    secret_header,
)
from plumbline.serving.errors import ServerError
from plumbline.serving.launch.server import TritonServer
from plumbline.serving.launch.server_options import ServerOptions, ServerTls
from plumbline.serving.publish.live_server import LiveServer
from tests.certificates import make_certificates
from tests.serving.releases import SETTINGS, export_repository, model_of, write_small_plan

SECRET = "secret/of~the.test=+-_"
ROWS = pa.table({"price": [1.0, None, 3.0], "city": ["Oslo", None, "Atlantis"]})
PROTOCOLS = ("http", "grpc")
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F"}
"""127.0.0.1 as /proc has it, and as a socket for IPv6 has it."""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    plan = write_small_plan(folder / "plan", ["Oslo", "Rome"])
    model = model_of(plan, folder / "model", seed=1)
    return export_repository(plan, model, folder / "out", SETTINGS, ROWS)


@pytest.fixture(scope="module")
def closed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """A server with the default options."""
    with TritonServer(repository, tmp_path_factory.mktemp("closed")) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """A server that allows everything with the secret, which is in its environment too."""
    options = ServerOptions(
        allow_model_control=True, allow_shared_memory=True, protect_scoring=True, secret=SECRET
    )
    patch = pytest.MonkeyPatch()
    patch.setenv(SECRET_VARIABLE, SECRET)
    with TritonServer(repository, tmp_path_factory.mktemp("guarded"), options=options) as running:
        patch.undo()
        yield running


def url_of(server: TritonServer, protocol: str) -> str:
    return server.grpc_url if protocol == "grpc" else server.http_url


def headers(protocol: str, secret: str | None) -> dict[str, str]:
    return {} if secret is None else secret_header(protocol, SECRET_HEADER, secret)


def administration(client: Any, shown: dict[str, str]) -> dict[str, Callable[[], object]]:
    """What an operator may do, by the endpoint's name in Triton's options."""
    return {
        "model-repository": lambda: client.load_model("ctr_features", headers=shown),
        "shared-memory": lambda: client.get_system_shared_memory_status(headers=shown),
    }


def settings(client: Any, shown: dict[str, str]) -> dict[str, Callable[[], object]]:
    return {
        "trace": lambda: client.get_trace_settings(headers=shown),
        "logging": lambda: client.update_log_settings({"log_verbose_level": 1}, headers=shown),
    }


def triton(server: TritonServer, protocol: str) -> Any:
    library = triton_grpc if protocol == "grpc" else triton_http
    return library.InferenceServerClient(url_of(server, protocol))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_by_default_only_scoring_is_open(closed: TritonServer, protocol: str) -> None:
    with Client(url_of(closed, protocol), protocol) as client:
        assert client.score(ROWS).shape == (3,)
    shown = headers(protocol, SECRET)
    with triton(closed, protocol) as client:
        for name, ask in {**administration(client, shown), **settings(client, shown)}.items():
            with pytest.raises(InferenceServerException, match=r"restricted|not allowed"):
                ask()
                pytest.fail(f"{name} is open")
        with pytest.raises(InferenceServerException, match="restricted"):
            client.register_system_shared_memory("region", "/region", 64)
        with pytest.raises(InferenceServerException, match=r"restricted|not allowed"):
            client.unload_model("ctr")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("secret", [None, "another-secret-0123", SECRET[:-1], SECRET + "x"])
def test_nothing_is_allowed_without_the_secret(
    guarded: TritonServer, protocol: str, secret: str | None
) -> None:
    shown = headers(protocol, secret)
    with triton(guarded, protocol) as client:
        assert client.is_server_ready(), "probes need no secret"
        requests = {**administration(client, shown), **settings(client, shown)}
        requests["statistics"] = lambda: client.get_inference_statistics(headers=shown)
        for name, ask in requests.items():
            with pytest.raises(InferenceServerException, match="restricted"):
                ask()
                pytest.fail(f"{name} is open")
    with pytest.raises(ServerError, match="restricted"):
        Client(url_of(guarded, protocol), protocol, headers=shown, retries=None)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_secret_allows_the_opened_endpoints(guarded: TritonServer, protocol: str) -> None:
    shown = headers(protocol, SECRET)
    with Client(url_of(guarded, protocol), protocol, headers=shown) as client:
        assert client.score(ROWS).shape == (3,)
    with triton(guarded, protocol) as client:
        for ask in administration(client, shown).values():
            ask()
        for name, ask in settings(client, shown).items():
            with pytest.raises(InferenceServerException, match="restricted"):
                ask()
                pytest.fail(f"{name} is open")
    control = LiveServer(Connection(url_of(guarded, protocol), protocol, headers=shown))
    assert control.ready_versions("ctr") == {"1"}
    control.close()


def test_the_secret_is_in_no_log_and_no_environment(guarded: TritonServer) -> None:
    with triton_http.InferenceServerClient(guarded.http_url) as client:
        client.is_server_ready(headers=headers("http", SECRET))
    assert SECRET not in guarded.log.read_text(errors="replace")
    assert SECRET not in repr(guarded.options)
    assert guarded._process is not None
    server = guarded._process.pid
    children = [server, *_descendants(server)]
    assert len(children) > 3, "the models have processes of their own"
    for child in children:
        assert SECRET.encode() not in Path(f"/proc/{child}/environ").read_bytes()


def _descendants(process: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *_descendants(int(child))]
    return found


def test_only_loopback_is_served(closed: TritonServer) -> None:
    for port in (closed.ports.http, closed.ports.grpc, closed.ports.metrics):
        assert addresses_of(port) and addresses_of(port) <= LOOPBACK


def addresses_of(port: int) -> set[str]:
    """The addresses of this machine where something listens on a port."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            address, listens = line.split()[1], line.split()[3] == "0A"
            if listens and int(address.rpartition(":")[2], 16) == port:
                found.add(address.rpartition(":")[0])
    return found


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def encrypted(
    repository: Path, certificates: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TritonServer]:
    """A server on all addresses that asks for certificates, with the secret for model control."""
    tls = ServerTls(
        certificates / "server.pem", certificates / "server.key", certificates / "ca.pem"
    )
    options = ServerOptions(host="0.0.0.0", allow_model_control=True, secret=SECRET, tls=tls)
    work = tmp_path_factory.mktemp("encrypted")
    with TritonServer(repository, work, options=options) as running:
        yield running


def test_tls_with_certificates_on_both_sides(encrypted: TritonServer, certificates: Path) -> None:
    tls = Tls(certificates / "ca.pem", certificates / "client.pem", certificates / "client.key")
    with Client(encrypted.grpc_url, "grpc", tls=tls) as client:
        assert np.isfinite(client.score(ROWS)).all()
    shown = headers("grpc", SECRET)
    control = LiveServer(Connection(encrypted.grpc_url, "grpc", headers=shown, tls=tls))
    control.load("ctr_features")
    control.close()


@pytest.mark.parametrize("case", ["no TLS", "no certificate", "a stranger's", "another authority"])
def test_clients_without_a_certificate_are_refused(
    encrypted: TritonServer, certificates: Path, case: str
) -> None:
    own = {name: certificates / f"client.{name}" for name in ("pem", "key")}
    stranger = {name: certificates / f"stranger.{name}" for name in ("pem", "key")}
    tls = {
        "no TLS": None,
        "no certificate": Tls(certificates / "ca.pem"),
        "a stranger's": Tls(certificates / "ca.pem", stranger["pem"], stranger["key"]),
        "another authority": Tls(certificates / "other_ca.pem", own["pem"], own["key"]),
    }[case]
    with pytest.raises(ServerError, match=f"Triton at {encrypted.grpc_url}"):
        Client(encrypted.grpc_url, "grpc", tls=tls, timeout_seconds=5.0, retries=None)


def test_unencrypted_endpoints_stay_on_loopback(encrypted: TritonServer) -> None:
    assert addresses_of(encrypted.ports.grpc) - LOOPBACK
    for port in (encrypted.ports.http, encrypted.ports.metrics):
        assert addresses_of(port) and addresses_of(port) <= LOOPBACK
    with Client(encrypted.http_url) as client:
        assert client.score(ROWS).shape == (3,)
