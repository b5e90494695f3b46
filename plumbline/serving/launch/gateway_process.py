"""Start the gateway's processes, tell them the state of the server, and start them again.

A process reads lines of JSON on its standard input: first its settings, then states, at each change
and twice a second. It ends when the input ends, so it does not outlive the launcher.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from types import TracebackType
from typing import Any

from plumbline.base.paths import SOURCES
from plumbline.serving.client.connection import SECRET_VARIABLE
from plumbline.serving.contract.interface import ENSEMBLE_MODEL, FUSED_MODEL
from plumbline.serving.launch.back_off import BackOff
from plumbline.serving.launch.gateway_options import GatewayOptions
from plumbline.serving.launch.server import TritonServer
from plumbline.serving.launch.server_options import ServerTls
from plumbline.serving.launch.supervisor import State

DIED = "gateway_died"
"""The cause under which a gateway's restarts are counted."""

_HEARTBEAT_SECONDS = 0.5
_POLL_SECONDS = 0.1
_STOP_SECONDS = 2.0
"""A process has this time to end, in addition to the time limit of a request."""


def gateway_settings(
    options: GatewayOptions, server: TritonServer, listen_fd: int
) -> dict[str, Any]:
    """The first line of a gateway's input. The server must have its ports."""
    is_fused = (server.repository / FUSED_MODEL).is_dir()
    settings: dict[str, Any] = {
        "listen_fd": listen_fd,
        "triton": server.http_url,
        "triton_metrics": server.metrics_url,
        "secret": options.secret,
        "tls": None if options.tls is None else _paths(options.tls),
        "model": FUSED_MODEL if is_fused else ENSEMBLE_MODEL,
        "limits": asdict(options.limits),
    }
    if server.options.protect_scoring:
        settings["triton_secret"] = server.options.secret
    return settings


def _paths(tls: ServerTls) -> dict[str, str | None]:
    return {
        name: None if file is None else str(file.resolve())
        for name, file in (
            ("certificate", tls.certificate),
            ("key", tls.key),
            ("client_ca", tls.client_ca),
        )
    }


class GatewayProcess:
    """One process of the gateway, which is started again whenever it ends."""

    def __init__(self, settings: Mapping[str, Any], module: str) -> None:
        self._settings, self._module = settings, module
        self._back_off = BackOff()
        self._process: subprocess.Popen[bytes] | None = None
        self._started = self._not_before = 0.0

    def keep_running(self) -> int | None:
        """Start the process if it does not run. Returns its status if it ended since."""
        now = time.monotonic()
        if self._process is None:
            if now >= self._not_before:
                self._start()
            return None
        status = self._process.poll()
        if status is not None:
            self._process = None
            self._not_before = now + self._back_off.delay(now - self._started)
        return status

    def send(self, line: Mapping[str, Any]) -> None:
        """A process that does not read its input any more is killed."""
        if self._process is None or self._process.stdin is None:
            return
        try:
            os.write(self._process.stdin.fileno(), _line(line))
        except BlockingIOError:
            self._process.kill()
        except BrokenPipeError:
            pass  # it is ending

    def end_input(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def wait(self, seconds: float) -> None:
        """Kill the process if it takes longer to end."""
        if self._process is not None:
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": _first_in_path(str(SOURCES))}
        environment.pop(SECRET_VARIABLE, None)
        self._process = subprocess.Popen(
            [sys.executable, "-m", self._module],
            env=environment,
            stdin=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            pass_fds=[self._settings["listen_fd"]],
        )
        self._started = time.monotonic()
        self.send(self._settings)
        if self._process.stdin is not None:
            os.set_blocking(self._process.stdin.fileno(), False)


class Gateway:
    """The processes, which run inside a `with` block and share the listening socket.

    Parameters
    ----------
    listener
        The socket that the settings name.
    options
        How many processes there are, and what they run.
    settings
        The first line of each process's input: `gateway_settings`.
    report
        Shows a line to the operator.
    """

    def __init__(
        self,
        listener: socket.socket,
        options: GatewayOptions,
        settings: Mapping[str, Any],
        report: Callable[[str], None],
    ) -> None:
        self._listener, self._report = listener, report
        self._processes = [
            GatewayProcess(settings, options.module) for _ in range(options.processes)
        ]
        self._stop_seconds = options.limits.seconds + _STOP_SECONDS
        self._state, self._died = State(), 0
        self._changed = threading.Event()
        self._is_ending = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Gateway:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let the processes answer what they have accepted."""
        self._is_ending = True
        self._changed.set()
        self._thread.join()
        for process in self._processes:
            process.end_input()
        until = time.monotonic() + self._stop_seconds
        for process in self._processes:
            process.wait(max(0.0, until - time.monotonic()))
        self._listener.close()

    def tell(self, state: State) -> None:
        """Send a new state to the processes."""
        self._state = state
        self._changed.set()

    def _run(self) -> None:
        next_heartbeat = 0.0
        while not self._is_ending:
            is_change = self._changed.is_set()
            self._changed.clear()
            for process in self._processes:
                status = process.keep_running()
                if status is not None:
                    self._died += 1
                    is_change = True
                    self._report(f"A gateway process ended with status {status}.")
            if is_change or time.monotonic() >= next_heartbeat:
                line = asdict(self._known())
                for process in self._processes:
                    process.send(line)
                next_heartbeat = time.monotonic() + _HEARTBEAT_SECONDS
            self._changed.wait(_POLL_SECONDS)

    def _known(self) -> State:
        state = self._state
        return (
            replace(state, restarts={**state.restarts, DIED: self._died}) if self._died else state
        )


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content).encode() + b"\n"


def _first_in_path(folder: str) -> str:
    with suppress(KeyError):
        return os.pathsep.join((folder, os.environ["PYTHONPATH"]))
    return folder
