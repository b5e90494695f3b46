"""The gateway's processes: what they are told, and that they are started again."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plumbline.serving.errors import ServerError
from plumbline.serving.gateway.settings import GatewaySettings, LauncherState, Limits, TlsFiles
from plumbline.serving.launch.gateway_options import GatewayOptions
from plumbline.serving.launch.gateway_process import Gateway, gateway_settings
from plumbline.serving.launch.ports import Ports, listener, port_of
from plumbline.serving.launch.server import TritonServer
from plumbline.serving.launch.server_options import ServerOptions, ServerTls

SECRET = "0123456789abcdef"
STAND_IN = "tests.serving.launch.gateway_stand_in"
OPTIONS = GatewayOptions("127.0.0.1", module=STAND_IN, limits=Limits(seconds=1.0))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Gateway, int, list[str]]]:
    opened = listener("gateway", "127.0.0.1", 0)
    reported: list[str] = []
    settings = GatewaySettings(opened.fileno(), "127.0.0.1:1", "127.0.0.1:2", "ctr", secret=SECRET)
    with Gateway(opened, OPTIONS, settings, tmp_path, reported.append) as gateway:
        yield gateway, port_of(opened), reported


def ask(port: int, word: str = "tell") -> Any:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(word.encode())
        answer = client.makefile().read()
    return json.loads(answer) if answer else None


def wait_for(port: int, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    give_up = time.monotonic() + 20
    while not reached(state := ask(port)["state"]):
        assert time.monotonic() < give_up, state
        time.sleep(0.02)
    return state


def test_it_gets_its_settings_then_states_and_heartbeats(
    running: tuple[Gateway, int, list[str]],
) -> None:
    gateway, port, _ = running
    assert ask(port)["settings"]["secret"] == SECRET
    assert wait_for(port, bool)["ready"] is False
    gateway.tell(LauncherState(True, {"died": 2}, 5.0))
    state = wait_for(port, lambda state: state["ready"])
    assert (state["restarts"], state["server_up_since"]) == ({"died": 2}, 5.0)
    wait_for(port, lambda later: later["beats"] >= state["beats"] + 2)


def test_one_that_dies_is_started_again_and_counted(
    running: tuple[Gateway, int, list[str]],
) -> None:
    gateway, port, reported = running
    gateway.tell(LauncherState(True, {"died": 1}))
    for deaths in (1, 2):
        assert ask(port, "die") is None
        state = wait_for(port, lambda state: "gateway_died" in state.get("restarts", ()))
        assert state["restarts"] == {"died": 1, "gateway_died": deaths}
    assert reported == 2 * ["A gateway process ended with status 5."]


def test_it_ends_with_the_launcher_and_several_share_the_port(tmp_path: Path) -> None:
    opened = listener("gateway", "127.0.0.1", 0)
    port = port_of(opened)
    options = GatewayOptions("127.0.0.1", processes=2, module=STAND_IN, limits=Limits(seconds=1.0))
    settings = GatewaySettings(opened.fileno(), "127.0.0.1:1", "127.0.0.1:2", "ctr")
    with Gateway(opened, options, settings, tmp_path, print) as gateway:
        ask(port)
        processes = [process._process for process in gateway._processes]
    assert all(process is not None and process.poll() == 0 for process in processes)
    with pytest.raises(OSError):
        ask(port)


def test_the_settings_lead_to_the_server_on_loopback(tmp_path: Path) -> None:
    (tmp_path / "ctr_fused").mkdir()
    server = TritonServer(tmp_path, tmp_path, options=ServerOptions(ports=Ports(1, 2, 3)))
    for name in ("certificate", "key"):
        (tmp_path / name).write_text("PEM")
    tls = ServerTls(tmp_path / "certificate", tmp_path / "key")
    options = GatewayOptions("0.0.0.0", secret=SECRET, tls=tls)
    assert gateway_settings(options, server, 7) == GatewaySettings(
        listen_fd=7,
        triton="127.0.0.1:1",
        triton_metrics="127.0.0.1:3",
        model="ctr_fused",
        secret=SECRET,
        tls=TlsFiles(str(tmp_path / "certificate"), str(tmp_path / "key")),
        repository=str(tmp_path),
    )
    assert gateway_settings(replace(options, page=False), server, 7).repository is None
    (tmp_path / "ctr_fused").rmdir()
    guarded = ServerOptions(protect_scoring=True, secret=SECRET)
    server = TritonServer(tmp_path, tmp_path, options=guarded)
    settings = gateway_settings(GatewayOptions("127.0.0.1"), server, 7)
    assert (settings.model, settings.triton_secret) == ("ctr", SECRET)
    assert settings.secret is settings.tls is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GatewayOptions("x", processes=0), "--gateway-processes: wanted 1 or more, got 0"),
        (lambda: Limits(body_bytes=0), "--max-body: wanted a number above 0, got 0"),
        (lambda: Limits(rows=-1), "--max-rows"),
        (lambda: Limits(in_flight=0), "--max-in-flight"),
        (lambda: Limits(seconds=float("nan")), "--request-seconds"),
    ],
)
def test_options_that_make_no_sense_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ServerError, match=message):
        make()


def test_what_is_open_to_the_network_is_said(tmp_path: Path) -> None:
    (tmp_path / "pem").write_text("PEM")
    tls = ServerTls(tmp_path / "pem", tmp_path / "pem")
    assert GatewayOptions("127.0.0.1").warning is None
    assert GatewayOptions("0.0.0.0", secret=SECRET, tls=tls).warning is None
    warning = GatewayOptions("0.0.0.0").warning
    assert warning is not None and "not" in warning
    assert "--tls-certificate" in warning and "--secret-file" in warning
