"""One gateway process, as the launcher starts it: `python -m plumbline.serving.gateway`.

See `plumbline.serving.gateway.settings` for what it reads on standard input.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import socket
import ssl
import sys
from typing import Any

import uvicorn
import uvloop

from plumbline.base.exit_status import exit_status
from plumbline.serving.gateway.app import Gateway
from plumbline.serving.gateway.launcher import Launcher
from plumbline.serving.gateway.protocol import MOST_CONNECTIONS, LimitedProtocol
from plumbline.serving.gateway.settings import GatewaySettings

SHUTDOWN_SECONDS = 10
IDLE_SECONDS = 75
"""After these seconds without a request a connection is closed."""


async def serve(settings: GatewaySettings) -> None:
    """Serve until the launcher ends."""
    launcher = Launcher()
    config = uvicorn.Config(
        Gateway(settings, launcher).app(),
        http=LimitedProtocol,
        ws="none",
        lifespan="on",
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        **_tls(settings),
    )
    server = uvicorn.Server(config)
    gc.collect()
    gc.freeze()  # what is loaded stays, and need not be looked through again

    def end() -> None:
        server.should_exit = True

    listening = asyncio.create_task(launcher.listen(sys.stdin.buffer, end))
    with socket.socket(fileno=settings.listen_fd) as listener:
        await server.serve([listener])
    listening.cancel()


def _tls(settings: GatewaySettings) -> dict[str, Any]:
    tls = settings.tls
    if tls is None:
        return {}
    return {
        "ssl_certfile": tls.certificate,
        "ssl_keyfile": tls.key,
        "ssl_ca_certs": tls.client_ca,
        "ssl_cert_reqs": ssl.CERT_NONE if tls.client_ca is None else ssl.CERT_REQUIRED,
    }


def main() -> None:
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most_files != resource.RLIM_INFINITY:
        files = min(most_files, 2 * MOST_CONNECTIONS)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, most_files))
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as unbuffered:
        settings = GatewaySettings.from_line(unbuffered.readline())
    uvloop.run(serve(settings))


if __name__ == "__main__":
    with exit_status():
        main()
