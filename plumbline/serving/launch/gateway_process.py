"""Start the gateway's processes, tell them the state of the server, and start them again.

A process reads lines of JSON on its standard input: first its settings, then states, at each change
and twice a second. It ends when the input ends, so it does not outlive the launcher.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from prometheus_client.multiprocess import mark_process_dead

from plumbline.base.paths import SOURCES
from plumbline.serving.client.connection import SECRET_VARIABLE
from plumbline.serving.contract.interface import ENSEMBLE_MODEL, FUSED_MODEL
from plumbline.serving.gateway.settings import (
    HEARTBEAT_SECONDS,
    METRICS_VARIABLE,
    GatewaySettings,
    LauncherState,
    TlsFiles,
)
from plumbline.serving.launch.back_off import BackOff
from plumbline.serving.launch.gateway_options import GatewayOptions
from plumbline.serving.launch.server import TritonServer
from plumbline.serving.launch.server_options import ServerTls

DIED = "gateway_died"
"""The cause under which a gateway's restarts are counted."""

_POLL_SECONDS = 0.1
_STOP_SECONDS = 2.0
"""A process has this time to end, in addition to the time limit of a request."""


def gateway_settings(
    options: GatewayOptions, server: TritonServer, listen_fd: int
) -> GatewaySettings:
    """The settings of each process. The server must have its ports."""
    is_fused = (server.repository / FUSED_MODEL).is_dir()
    return GatewaySettings(
        listen_fd,
        server.http_url,
        server.metrics_url,
        FUSED_MODEL if is_fused else ENSEMBLE_MODEL,
        options.secret,
        server.options.secret if server.options.protect_scoring else None,
        None if options.tls is None else _files(options.tls),
        options.limits,
        str(server.repository) if options.page else None,
    )


def _files(tls: ServerTls) -> TlsFiles:
    ca = tls.client_ca
    return TlsFiles(
        str(tls.certificate.resolve()),
        str(tls.key.resolve()),
        None if ca is None else str(ca.resolve()),
    )


class GatewayProcess:
    """One process of the gateway, which is started again whenever it ends."""

    def __init__(self, settings: GatewaySettings, module: str, metrics: Path) -> None:
        self._settings, self._module, self._metrics = settings, module, metrics
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
            mark_process_dead(  # type: ignore[no-untyped-call]
                self._process.pid, str(self._metrics)
            )
            self._process = None
            self._not_before = now + self._back_off.delay(now - self._started)
        return status

    def send(self, line: str) -> None:
        """A process that does not read its input any more is killed."""
        if self._process is None or self._process.stdin is None:
            return
        try:
            os.write(self._process.stdin.fileno(), line.encode())
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
        environment[METRICS_VARIABLE] = str(self._metrics)
        self._process = subprocess.Popen(
            [sys.executable, "-m", self._module],
            env=environment,
            stdin=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            pass_fds=[self._settings.listen_fd],
        )
        self._started = time.monotonic()
        self.send(self._settings.to_line())
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
        Of each process: `gateway_settings`.
    work
        A folder in which the processes keep their metrics together.
    report
        Shows a failure to the operator.
    """

    def __init__(
        self,
        listener: socket.socket,
        options: GatewayOptions,
        settings: GatewaySettings,
        work: Path,
        report: Callable[[str], None],
    ) -> None:
        self._listener, self._report = listener, report
        metrics = work / "gateway-metrics"
        metrics.mkdir()
        self._processes = [
            GatewayProcess(settings, options.module, metrics) for _ in range(options.processes)
        ]
        self._stop_seconds = options.limits.seconds + _STOP_SECONDS
        self._state, self._died = LauncherState(), 0
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

    def tell(self, state: LauncherState) -> None:
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
                line = self._known().to_line()
                for process in self._processes:
                    process.send(line)
                next_heartbeat = time.monotonic() + HEARTBEAT_SECONDS / 2
            self._changed.wait(_POLL_SECONDS)

    def _known(self) -> LauncherState:
        state = self._state
        return (
            replace(state, restarts={**state.restarts, DIED: self._died}) if self._died else state
        )


def _first_in_path(folder: str) -> str:
    with suppress(KeyError):
        return os.pathsep.join((folder, os.environ["PYTHONPATH"]))
    return folder
