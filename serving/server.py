"""Start and stop a Triton server on a model repository: `python -m serving.server REPOSITORY`."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Annotated

import typer
from rich.console import Console

from features.errors import PlumblineError, ServerError
from features.manifest import MANIFEST_FILE, Manifest
from serving import with_parent
from serving.binary import SOURCES, ServerBinary, find_server
from serving.ports import Ports
from serving.server_log import cause_of_failure

LOOPBACK = "127.0.0.1"
LOG_FILE = "triton.log"

_SHUTDOWN_SECONDS = 10


class TritonServer:
    """A running server, from `with` to its end; it ends with the process that started it, too.

    Models cannot be loaded or unloaded from outside, and it is ready when every model is.

    Parameters
    ----------
    repository
        The model repository folder.
    work
        Folder for the log, `triton.log`, and for the backend folder of the wheel's server.
    ports
        Where it listens; any free ports unless given.
    host
        The address to bind to: only this machine unless given.
    ready_seconds
        Time limit for loading the models.
    """

    def __init__(
        self,
        repository: Path,
        work: Path,
        *,
        ports: Ports | None = None,
        host: str = LOOPBACK,
        ready_seconds: float = 120.0,
        binary: ServerBinary | None = None,
    ) -> None:
        self._repository = repository.resolve()
        self._work = work
        self._wanted_ports = ports or Ports.free()
        self._host = host
        self._ready_seconds = ready_seconds
        self._binary = binary
        self._process: subprocess.Popen[bytes] | None = None
        self.ports = self._wanted_ports
        self.log = work / LOG_FILE

    @property
    def http_url(self) -> str:
        return f"{self._reachable_host}:{self.ports.http}"

    @property
    def grpc_url(self) -> str:
        return f"{self._reachable_host}:{self.ports.grpc}"

    @property
    def _reachable_host(self) -> str:
        return LOOPBACK if self._host == "0.0.0.0" else self._host

    def __enter__(self) -> TritonServer:
        """Start the server, and wait until it is ready.

        Raises
        ------
        ServerError
            No server program, a port that is taken, a model that does not load (with the cause), or
            a server that is not ready in time.
        """
        if not self._repository.is_dir():
            raise ServerError(f"{self._repository}: wanted a model repository, there is no folder.")
        binary = self._binary or find_server()
        self.ports = self._wanted_ports.resolved(self._host)
        self._work.mkdir(parents=True, exist_ok=True)
        watched = [sys.executable, "-I", with_parent.__file__, str(os.getpid())]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*watched, *binary.arguments(self._work), *self._arguments()],
                cwd=SOURCES,
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
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def wait(self) -> int:
        """Wait until the server ends by itself; its exit status."""
        return self._process.wait() if self._process is not None else 0

    def stop(self) -> None:
        """End the server: asked first, then killed."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_SHUTDOWN_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _arguments(self) -> list[str]:
        return [
            f"--model-repository={self._repository}",
            "--model-control-mode=none",
            "--strict-readiness=true",
            "--disable-auto-complete-config",
            "--exit-timeout-secs=5",
            "--allow-gpu-metrics=false",
            f"--http-address={self._host}",
            f"--http-port={self.ports.http}",
            f"--grpc-address={self._host}",
            f"--grpc-port={self.ports.grpc}",
            f"--metrics-address={self._host}",
            f"--metrics-port={self.ports.metrics}",
        ]

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        give_up = time.monotonic() + self._ready_seconds
        while not self._is_ready():
            status = process.poll()
            if status is not None:
                raise ServerError(
                    f"The Triton server ended with status {status} before it was ready: "
                    f"{cause_of_failure(self.log)} (log: {self.log})"
                )
            if time.monotonic() > give_up:
                raise ServerError(
                    f"The Triton server was not ready after {self._ready_seconds:.0f} s "
                    f"(log: {self.log}). Give it more time, or look into the log."
                )
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(self._reachable_host, self.ports.http, timeout=5)
        try:
            connection.request("GET", "/v2/health/ready")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def serve(
    repository: Annotated[Path, typer.Argument(help="The model repository folder.")],
    http_port: Annotated[int, typer.Option(help="0 takes a free port.")] = 8000,
    grpc_port: Annotated[int, typer.Option(help="0 takes a free port.")] = 8001,
    metrics_port: Annotated[int, typer.Option(help="0 takes a free port.")] = 8002,
    host: Annotated[
        str, typer.Option(help="Address to bind to; 0.0.0.0 opens it to the network.")
    ] = LOOPBACK,
) -> None:
    """Serve a model repository until interrupted; the log is kept where the server fails."""
    console = Console(stderr=True)
    work = Path(tempfile.mkdtemp(prefix="plumbline-server-"))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if (repository.parent / MANIFEST_FILE).is_file():
            Manifest.read(repository.parent).verify(repository.parent)
        ports = Ports(http_port, grpc_port, metrics_port)
        with TritonServer(repository, work, ports=ports, host=host) as server:
            console.print(f"HTTP {server.http_url}, gRPC {server.grpc_url}. Ctrl-C stops it.")
            status = server.wait()
            raise ServerError(f"The Triton server ended with status {status} (log: {server.log}).")
    except PlumblineError as error:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        shutil.rmtree(work, ignore_errors=True)
        console.print("Stopped.")


if __name__ == "__main__":
    typer.run(serve)
