"""`plumbline server` with its gateway, as a person starts it: its ports and its processes."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import psutil

from plumbline.base.paths import SOURCES
from plumbline.serving.client.connection import SECRET_VARIABLE
from plumbline.serving.launch.ports import Ports, listener, port_of

_HOST = "127.0.0.1"
STUB, TRITON, GATEWAY, GUARD = "model process", "Triton", "gateway", "guard"
_MARKS = {
    "triton_python_backend_stub": STUB,
    "plumbline.serving.gateway": GATEWAY,
    "launch/guard.py": GUARD,
    "tritonserver": TRITON,
}
"""What a process has in its command line; the first mark that fits counts."""
_RESTARTS = re.compile(r'^plumbline_restarts_total\{cause="([^"]+)"\} (\S+)$', re.MULTILINE)


class RunningServer:
    """The server of a repository, ready inside the `with` block."""

    def __init__(
        self,
        repository: Path,
        log: Path,
        *options: str,
        ready_seconds: float,
        secret: str | None = None,
    ) -> None:
        with listener("the gateway", _HOST, 0) as held:
            self._ports, self.gateway_port = Ports.free().resolved(_HOST), port_of(held)
        self._repository, self._log, self._options = repository, log, options
        self._ready_seconds, self._secret = ready_seconds, secret
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def http_url(self) -> str:
        return f"{_HOST}:{self._ports.http}"

    @property
    def gateway_url(self) -> str:
        return f"{_HOST}:{self.gateway_port}"

    @property
    def headers(self) -> dict[str, str]:
        """What a request to the gateway needs."""
        return {} if self._secret is None else {"Authorization": f"Bearer {self._secret}"}

    def __enter__(self) -> RunningServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            process.wait(60)

    def start(self) -> float:
        """Start the launcher, and return the seconds until the gateway is ready."""
        started = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "plumbline", "server", str(self._repository)),
                    *("--gateway", "--gateway-port", str(self.gateway_port)),
                    *("--http-port", str(self._ports.http), "--grpc-port", str(self._ports.grpc)),
                    *("--metrics-port", str(self._ports.metrics)),
                    *("--ready-seconds", str(self._ready_seconds), *self._options),
                ],
                cwd=SOURCES,
                env=os.environ | ({} if self._secret is None else {SECRET_VARIABLE: self._secret}),
                stderr=log,
                stdout=log,
            )
        self.wait_until_ready(self._ready_seconds)
        return time.monotonic() - started

    def is_ready(self) -> bool:
        """What the gateway's health says."""
        connection = http.client.HTTPConnection(self.gateway_url, timeout=5)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def restarts(self) -> dict[str, int]:
        """Cause to number, as the gateway's metrics tell."""
        connection = http.client.HTTPConnection(self.gateway_url, timeout=5)
        connection.request("GET", "/metrics", headers=self.headers)
        text = connection.getresponse().read().decode()
        return {cause: int(float(count)) for cause, count in _RESTARTS.findall(text)}

    def wait_until_ready(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self.is_ready():
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"the launcher ended: {self._log.read_text()[-2000:]}")
            if time.monotonic() > end:
                raise RuntimeError(f"not ready after {seconds} s: {self._log.read_text()[-2000:]}")
            time.sleep(0.02)

    def processes(self) -> dict[str, list[int]]:
        """Kind to process ids; the launcher is not among them."""
        assert self._process is not None
        found: dict[str, list[int]] = {kind: [] for kind in _MARKS.values()}
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self._process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    command = " ".join(child.cmdline())
                    kind = next((k for mark, k in _MARKS.items() if mark in command), None)
                    if kind is not None:
                        found[kind].append(child.pid)
        return found

    def kill_launcher(self) -> list[int]:
        """kill -9 of the launcher alone. Returns the processes that it had."""
        had = [pid for pids in self.processes().values() for pid in pids]
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        return had
