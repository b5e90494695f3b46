"""Start and stop a Triton server on a model repository."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from plumbline.base.paths import SOURCES
from plumbline.base.verified_files import VARIABLE as VERIFIED
from plumbline.serving.errors import ServerError
from plumbline.serving.launch import guard
from plumbline.serving.launch.binary import ServerBinary, find_server
from plumbline.serving.launch.model_processes import Instance, instances_of, processor_seconds
from plumbline.serving.launch.owned import OwnedFolder, OwnedRegions, sweep
from plumbline.serving.launch.plain_names import PlainNames
from plumbline.serving.launch.server_log import cause_of_failure, last_lines
from plumbline.serving.launch.server_options import LOOPBACK, ServerOptions
from plumbline.serving.launch.shared_memory import SharedMemory
from plumbline.serving.launch.start_limit import StartLimit

LOG_FILE = "triton.log"
LOG_BEFORE_FILE = "triton.before.log"
"""The previous server's log, in the same folder."""

_SHUTDOWN_SECONDS = guard.STOP_SECONDS + 7.0
_POLL_SECONDS = 0.05


class ServerDied(ServerError):
    """A signal ended the server while it started. Another start may succeed."""


class TritonServer:
    """A server that runs inside a `with` block, and at most as long as the process that started it.

    The block begins when every model is ready. However the server or this process ends, no process
    and no shared memory of it stays: see `plumbline.serving.launch.guard`.

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
        Time limit for loading the models, of which time in which they compute counts a tenth.
    temporary
        Temporary folders that are removed if this process is killed.
    """

    def __init__(
        self,
        repository: Path,
        work: Path,
        *,
        options: ServerOptions | None = None,
        ready_seconds: float = 120.0,
        binary: ServerBinary | None = None,
        temporary: Sequence[OwnedFolder] = (),
    ) -> None:
        self.repository = repository.resolve()
        self._work = work
        self.options = options or ServerOptions()
        self._ready_seconds = ready_seconds
        self._binary = binary
        self._temporary = temporary
        self._process: subprocess.Popen[bytes] | None = None
        self._regions: OwnedRegions | None = None
        self._names = PlainNames()
        self.ports = self.options.ports
        self.log = work / LOG_FILE

    @property
    def http_url(self) -> str:
        """Host and port of HTTP."""
        return f"{_reachable(self.options.unencrypted_host)}:{self.ports.http}"

    @property
    def grpc_url(self) -> str:
        """Host and port of gRPC."""
        return f"{_reachable(self.options.host)}:{self.ports.grpc}"

    @property
    def metrics_url(self) -> str:
        """Host and port of the metrics."""
        return f"{_reachable(self.options.unencrypted_host)}:{self.ports.metrics}"

    def __enter__(self) -> TritonServer:
        """Start the server, and wait until it is ready.

        Raises
        ------
        ServerDied
            A signal ended it, such as that of a system without memory.
        ServerError
            There is no server program, a port is in use, a model does not load (with the cause), or
            the server is not ready in time.
        """
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the server, after a first start on the same ports. Raises as `__enter__`."""
        regions = self.claim()
        space = SharedMemory()
        space.require(self.repository)
        self._process = self._popen(self._binary or find_server(), regions)
        try:
            self._wait_until_ready(self._process, space)
        except BaseException:
            self.kill()
            raise

    def claim(self) -> OwnedRegions:
        """Choose the ports and the name of the shared memory, if that was not done already.

        Raises
        ------
        ServerError
            There is no repository, or a port is in use.
        """
        if self._regions is None:
            if not self.repository.is_dir():
                raise ServerError(
                    f"{self.repository}: wanted a model repository, there is no folder."
                )
            sweep()
            options = self.options
            self.ports = options.ports.resolved(options.host, options.unencrypted_host)
            self._regions = OwnedRegions()
        return self._regions

    def _popen(self, binary: ServerBinary, regions: OwnedRegions) -> subprocess.Popen[bytes]:
        self._work.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            self.log.replace(self.log.with_name(LOG_BEFORE_FILE))
        program = [
            *binary.arguments(self._names.scratch(self._work.resolve())),
            f"--model-repository={self._names.of(self.repository)}",
            "--disable-auto-complete-config",
            "--exit-timeout-secs=5",
            f"--backend-config=python,shm-region-prefix-name={regions.prefix}",
            *self.options.arguments(self.ports),
            *self.options.arguments_of_later_releases(binary.takes),
        ]
        folders = [*self._temporary, *self._names.folders]
        locks = [regions.lock, *(folder.lock for folder in folders)]
        guarded = [
            *(sys.executable, "-I", guard.__file__, str(os.getpid()), regions.path_prefix),
            json.dumps([str(folder.path) for folder in folders]),
            json.dumps(locks),
        ]
        verified = (self._work / "verified").resolve()
        verified.mkdir(exist_ok=True)
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [*guarded, *program],
                cwd=SOURCES,  # the wheel's stub looks for modules here first
                env={**binary.environment(), VERIFIED: str(verified)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=locks,
            )

    @property
    def process(self) -> int:
        """The guard, which ends as the server ends. Raises ServerError if none was started."""
        if self._process is None:
            raise ServerError("The Triton server is not running. Start it.")
        return self._process.pid

    def status(self) -> int | None:
        """The status that the server exited with, negative after a signal; None while it runs."""
        return self._process.poll() if self._process is not None else 0

    def instances(self) -> dict[int, Instance]:
        """Process to the model's instance that it runs."""
        return instances_of(self.process)

    def stop(self) -> None:
        """Let the server answer what it has accepted, and end it. It may be started again."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server at once. It may be started again."""
        self._end(signal.SIGQUIT)

    def close(self) -> None:
        """As `stop`, and give up the ports and the shared memory."""
        self.stop()
        self._names.close()
        regions, self._regions = self._regions, None
        if regions is not None:
            regions.close()

    def _end(self, sign: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(sign)
            try:
                process.wait(_SHUTDOWN_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._regions is not None:
            self._regions.clear()

    def _wait_until_ready(self, process: subprocess.Popen[bytes], space: SharedMemory) -> None:
        limit = StartLimit(self._ready_seconds, lambda: processor_seconds(process.pid))
        while not self._is_ready():
            space.look()
            status = process.poll()
            if status is not None:
                cause = self._names.resolved(cause_of_failure(self.log))
                suspicion = space.suspicion(status)
                error = ServerDied if status < 0 and not suspicion else ServerError
                raise error(
                    f"The Triton server ended with status {status} before it was ready: "
                    f"{cause} (log: {self.log}).{suspicion}"
                )
            if limit.is_over():
                last = self._names.resolved(last_lines(self.log))
                raise ServerError(
                    f"The Triton server was not ready within {self._ready_seconds:g} s, in which "
                    "time that it computed counts a tenth. Its log ends with: "
                    f"{last} (log: {self.log})."
                )
            time.sleep(_POLL_SECONDS)

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
