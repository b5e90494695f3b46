"""The work of `plumbline server`: serve a repository, and keep the server running and right."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from plumbline.base.console import say, tell, waiting, warn
from plumbline.serving.check.served_model import models_in
from plumbline.serving.client.connection import SECRET_HEADER, secret_header
from plumbline.serving.contract.versions import verify_repository
from plumbline.serving.gateway.settings import LauncherState
from plumbline.serving.launch.gateway_options import GatewayOptions
from plumbline.serving.launch.gateway_process import Gateway, gateway_settings
from plumbline.serving.launch.gpu import require_gpu
from plumbline.serving.launch.health import Health
from plumbline.serving.launch.owned import OwnedFolder
from plumbline.serving.launch.ports import listener, port_of
from plumbline.serving.launch.server import LOG_BEFORE_FILE, TritonServer
from plumbline.serving.launch.server_options import ServerOptions
from plumbline.serving.launch.supervisor import Supervisor
from plumbline.serving.publish.publish import roll_back_interrupted


@dataclass(frozen=True, slots=True)
class Launch:
    """What is started, and how it is watched."""

    server: ServerOptions
    gateway: GatewayOptions | None
    """None: clients reach the server itself."""
    ready_seconds: float
    check_seconds: float

    @property
    def warning(self) -> str | None:
        return self.server.warning if self.gateway is None else self.gateway.warning


def run_server(repository: Path, launch: Launch) -> None:
    """Verify the repository, and serve it until Ctrl-C or SIGTERM.

    Raises
    ------
    PlumblineError
        A file was changed after the export, a GPU is missing, or the server does not start. Its log
        is kept then.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        roll_back_interrupted(repository, say)
        verify_repository(repository, large_files=False)
        require_gpu(repository)
        _serve(repository, launch)
    except KeyboardInterrupt:
        tell("stopped", "Stopped.")


def _serve(repository: Path, launch: Launch) -> None:
    work = OwnedFolder("server")
    try:
        server = TritonServer(
            repository,
            work.path,
            options=launch.server,
            ready_seconds=launch.ready_seconds,
            temporary=[work],
        )
        with closing(server):
            server.claim()
            with _gateway(server, launch.gateway, work.path) as (tell_gateway, gateway):
                supervisor = Supervisor(
                    server,
                    partial(Health, repository, server.http_url, _headers(launch.server)),
                    check_seconds=launch.check_seconds,
                    tell=tell_gateway,
                    report=_report,
                )
                with waiting("starting"):
                    supervisor.start()
                if launch.warning is not None:
                    warn(launch.warning)
                behind = "" if gateway is None else f"Gateway {gateway}; behind it "
                addresses = f"HTTP {server.http_url}, gRPC {server.grpc_url}"
                _tell_ready(f"{behind}{addresses}. Ctrl-C stops it.", server, gateway, None)
                log = work.path / LOG_BEFORE_FILE
                again = f"It was restarted. The log of the crash: {log}."
                supervisor.run(restarted=partial(_tell_ready, again, server, gateway, log))
    except KeyboardInterrupt:
        work.close()
        raise
    except BaseException:
        work.keep()
        raise


def _report(failure: str) -> None:
    tell("warning", failure, text=failure)


def _tell_ready(
    text: str, server: TritonServer, gateway: str | None, crash_log: Path | None
) -> None:
    tell(
        "ready",
        text,
        http=server.http_url,
        grpc=server.grpc_url,
        metrics=server.metrics_url,
        gateway=gateway,
        models=models_in(server.repository),
        crash_log=None if crash_log is None else str(crash_log),
    )


@contextmanager
def _gateway(
    server: TritonServer, options: GatewayOptions | None, work: Path
) -> Iterator[tuple[Callable[[LauncherState], None], str | None]]:
    """Run the gateway. Yields where to tell it the server's state, and its address."""
    if options is None:
        yield lambda state: None, None
        return
    opened = listener("gateway", options.host, options.port)
    settings = gateway_settings(options, server, opened.fileno())
    with Gateway(opened, options, settings, work, _report) as gateway:
        yield gateway.tell, f"{options.host}:{port_of(opened)}"


def _headers(options: ServerOptions) -> dict[str, str]:
    if options.protect_scoring and options.secret is not None:
        return secret_header("http", SECRET_HEADER, options.secret)
    return {}
