"""Start and stop a Triton server on a model repository."""

from __future__ import annotations

import http.client
import os
import secrets
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from plumbline.base.paths import SOURCES
from plumbline.serving.errors import ServerError
from plumbline.serving.launch import with_parent
from plumbline.serving.launch.binary import ServerBinary, find_server
from plumbline.serving.launch.plain_names import PlainNames
from plumbline.serving.launch.server_log import cause_of_failure, last_lines
from plumbline.serving.launch.server_options import LOOPBACK, ServerOptions

LOG_FILE = "triton.log"
LOG_BEFORE_FILE = "triton.before.log"
"""The previous server's log, in the same folder."""

_SHUTDOWN_SECONDS = 10

_REGIONS = Path("/dev/shm")
"""The Python backend exchanges tensors with the models' processes in this folder."""


class TritonServer:
    """A server that runs inside a `with` block, and at most as long as the process that started it.

    The block begins when every model is ready.

    Parameters
    ----------
    repository
        The model repository folder.
    work
        Folder for the log, `triton.log`, and for the backend folder of the wheel's server.
    options
        Where the server listens and what it allows. By default, it listens on free ports of this
        machine, and only scores.
    ready_seconds
        Time limit for loading the models.
    """

    def __init__(
        self,
        repository: Path,
        work: Path,
        *,
        options: ServerOptions | None = None,
        ready_seconds: float = 120.0,
        binary: ServerBinary | None = None,
    ) -> None:
        self.repository = repository.resolve()
        self._work = work
        self.options = options or ServerOptions()
        self._ready_seconds = ready_seconds
        self._binary = binary
        self._process: subprocess.Popen[bytes] | None = None
        self._regions = f"plumbline_{secrets.token_hex(8)}_"
        self._names = PlainNames()
        self.ports = self.options.ports
        self.log = work / LOG_FILE

    @property
    def http_url(self) -> str:
        return f"{_reachable(self.options.unencrypted_host)}:{self.ports.http}"

    @property
    def grpc_url(self) -> str:
        return f"{_reachable(self.options.host)}:{self.ports.grpc}"

    def __enter__(self) -> TritonServer:
        """Start the server, and wait until it is ready.

        Raises
        ------
        ServerError
            There is no server program, a port is in use, a model does not load (with the cause), or
            the server is not ready in time.
        """
        if not self.repository.is_dir():
            raise ServerError(f"{self.repository}: wanted a model repository, there is no folder.")
        self.ports = self.options.ports.resolved(self.options.host, self.options.unencrypted_host)
        self._start()
        return self

    def _start(self) -> None:
        binary = self._binary or find_server()
        self._work.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            self.log.replace(self.log.with_name(LOG_BEFORE_FILE))
        work = self._names.scratch(self._work.resolve())
        watched = [sys.executable, "-I", with_parent.__file__, str(os.getpid())]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*watched, *binary.arguments(work), *self._arguments()],
                cwd=SOURCES,  # the wheel's stub looks for modules here first
                env=binary.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def wait(self) -> int:
        """Wait until the server exits. Returns its status, which is negative after a signal."""
        return self._process.wait() if self._process is not None else 0

    def start_again(self) -> None:
        """Restart the server on the same ports. Raises ServerError as `__enter__` does."""
        self.stop()
        self._start()

    def stop(self) -> None:
        """Terminate the server, kill it if that takes too long, and remove what a crash leaves."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(_SHUTDOWN_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            for region in _REGIONS.glob(f"{self._regions}*"):
                region.unlink(missing_ok=True)
        self._names.close()

    def _arguments(self) -> list[str]:
        return [
            f"--model-repository={self._names.of(self.repository)}",
            "--disable-auto-complete-config",
            "--exit-timeout-secs=5",
            "--allow-gpu-metrics=false",
            f"--backend-config=python,shm-region-prefix-name={self._regions}",
            *self.options.arguments(self.ports),
        ]

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._ready_seconds
        while not self._is_ready():
            status = process.poll()
            if status is not None:
                raise ServerError(
                    f"The Triton server ended with status {status} before it was ready: "
                    f"{self._names.resolved(cause_of_failure(self.log))} (log: {self.log})"
                )
            if time.monotonic() > deadline:
                last = self._names.resolved(last_lines(self.log))
                raise ServerError(
                    f"The Triton server was not ready after {self._ready_seconds:.0f} s. Its log "
                    f"ends with: {last} (log: {self.log}). Give it more time, or read the log."
                )
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(self.http_url, timeout=5)
        try:
            connection.request("GET", "/v2/health/ready")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _reachable(host: str) -> str:
    return LOOPBACK if host == "0.0.0.0" else host
