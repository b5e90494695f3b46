"""Start and stop a Triton server on a model repository: `python -m serving.server REPOSITORY`."""

from __future__ import annotations

import http.client
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Annotated

import typer
from rich.console import Console

from plumbline.base.errors import PlumblineError
from plumbline.base.plain_text import one_line
from plumbline.serving.errors import ServerError
from plumbline.serving.launch import with_parent
from plumbline.serving.launch.binary import SOURCES, ServerBinary, find_server
from plumbline.serving.launch.plain_names import PlainNames
from plumbline.serving.launch.ports import Ports
from plumbline.serving.launch.secret import SECRET_VARIABLE, read_secret
from plumbline.serving.launch.server_log import cause_of_failure, last_lines
from plumbline.serving.launch.server_options import LOOPBACK, ServerOptions, ServerTls
from plumbline.serving.publish.publish import undo_cut_off
from plumbline.serving.repository.integrity import verify_repository

LOG_FILE = "triton.log"
LOG_BEFORE_FILE = "triton.before.log"
"""The log of the server that was started before, in the same folder."""

_SHUTDOWN_SECONDS = 10

_REGIONS = Path("/dev/shm")
"""Where the Python backend exchanges tensors with the models' processes."""


class TritonServer:
    """A running server, from `with` to its end; it ends with the process that started it, too.

    It is ready when every model is.

    Parameters
    ----------
    repository
        The model repository folder.
    work
        Folder for the log, `triton.log`, and for the backend folder of the wheel's server.
    options
        Where it listens, what it allows; any free ports of this machine, and scoring alone, unless
        given.
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

    @property
    def process_id(self) -> int:
        """Raises ServerError where it does not run."""
        if self._process is None:
            raise ServerError("The Triton server does not run: it has no process.")
        return self._process.pid

    def __enter__(self) -> TritonServer:
        """Start the server, and wait until it is ready.

        Raises
        ------
        ServerError
            No server program, a port that is taken, a model that does not load (with the cause), or
            a server that is not ready in time.
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def wait(self) -> int:
        """Wait until the server ends by itself; its status, below 0 where a signal ended it."""
        return self._process.wait() if self._process is not None else 0

    def start_again(self) -> None:
        """Start it anew, on the same ports; raises ServerError as at its first start."""
        self.stop()
        self._start()

    def stop(self) -> None:
        """End the server, asked first, then killed, and what a crashed one has left."""
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
        give_up = time.monotonic() + self._ready_seconds
        while not self._is_ready():
            status = process.poll()
            if status is not None:
                raise ServerError(
                    f"The Triton server ended with status {status} before it was ready: "
                    f"{self._names.told(cause_of_failure(self.log))} (log: {self.log})"
                )
            if time.monotonic() > give_up:
                last = self._names.told(last_lines(self.log))
                raise ServerError(
                    f"The Triton server was not ready after {self._ready_seconds:.0f} s. Its log "
                    f"ends with: {last} (log: {self.log}). Give it more time, or look into the log."
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


def serve(
    repository: Annotated[Path, typer.Argument(help="The model repository folder.")],
    http_port: Annotated[int, typer.Option(help="0 takes a free port.")] = 8000,
    grpc_port: Annotated[int, typer.Option(help="0 takes a free port.")] = 8001,
    metrics_port: Annotated[int, typer.Option(help="0 takes a free port.")] = 8002,
    host: Annotated[
        str, typer.Option(help="Address to bind to; 0.0.0.0 opens it to the network.")
    ] = LOOPBACK,
    allow_model_control: Annotated[
        bool, typer.Option("--allow-model-control", help="Models may be loaded; needs a secret.")
    ] = False,
    allow_shared_memory: Annotated[
        bool, typer.Option("--allow-shared-memory", help="For local tensors; needs a secret.")
    ] = False,
    protect_scoring: Annotated[
        bool, typer.Option("--protect-scoring", help="Ask for the secret in every request.")
    ] = False,
    secret_file: Annotated[
        Path | None, typer.Option(help=f"File with the secret; else {SECRET_VARIABLE} holds it.")
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="PEM; gRPC is encrypted, HTTP stays on this machine.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM, of the certificate.")] = None,
    tls_client_ca: Annotated[
        Path | None, typer.Option(help="PEM; clients need a certificate that it signed.")
    ] = None,
    ready_seconds: Annotated[float, typer.Option(help="Time limit for loading the models.")] = 120,
) -> None:
    """Serve a model repository until interrupted; a server that crashes is started again.

    The log is kept where the server fails.
    """
    console = Console(stderr=True)
    work = Path(tempfile.mkdtemp(prefix="plumbline-server-"))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        options = ServerOptions(
            host=host,
            ports=Ports(http_port, grpc_port, metrics_port),
            allow_model_control=allow_model_control,
            allow_shared_memory=allow_shared_memory,
            protect_scoring=protect_scoring,
            secret=read_secret(secret_file),
            tls=_tls(tls_certificate, tls_key, tls_client_ca),
        )
        undo_cut_off(repository, partial(console.print, markup=False, soft_wrap=True))
        verify_repository(repository)
        with TritonServer(repository, work, options=options, ready_seconds=ready_seconds) as server:
            if options.warning is not None:
                console.print(one_line(f"warning: {options.warning}"), markup=False, soft_wrap=True)
            console.print(f"HTTP {server.http_url}, gRPC {server.grpc_url}. Ctrl-C stops it.")
            while (status := server.wait()) < 0:
                console.print(f"The Triton server died ({signal.strsignal(-status)}).")
                server.start_again()
                told = f"It serves again; the log until then: {work / LOG_BEFORE_FILE}."
                console.print(one_line(told), markup=False, soft_wrap=True)
            raise ServerError(f"The Triton server ended with status {status} (log: {server.log}).")
    except PlumblineError as error:
        console.print(one_line(f"error: {error}"), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        shutil.rmtree(work, ignore_errors=True)
        console.print("Stopped.")


def _tls(certificate: Path | None, key: Path | None, client_ca: Path | None) -> ServerTls | None:
    if certificate is not None and key is not None:
        return ServerTls(certificate, key, client_ca)
    if (certificate, key, client_ca) != (None, None, None):
        raise ServerError("TLS: wanted --tls-certificate and --tls-key, one of them is missing.")
    return None
