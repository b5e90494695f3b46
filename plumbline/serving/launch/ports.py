"""The ports that a server listens on."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass, replace

from plumbline.serving.errors import ServerError


@dataclass(frozen=True, slots=True)
class Ports:
    """A port of 0 means any free port."""

    http: int = 8000
    grpc: int = 8001
    metrics: int = 8002

    @classmethod
    def free(cls) -> Ports:
        """Any free ports."""
        return cls(0, 0, 0)

    def resolved(self, host: str, unencrypted_host: str | None = None) -> Ports:
        """These ports, with each 0 replaced by a port that is free now.

        gRPC binds to `host`; HTTP and metrics bind to `unencrypted_host` if it is given.

        Raises
        ------
        ServerError
            A port is in use or given twice, or the host is not an address of this machine.
        """
        with ExitStack() as open_sockets:
            hosts = {name: unencrypted_host or host for name in ("http", "metrics")}
            bound = {
                name: open_sockets.enter_context(
                    listener(name, hosts.get(name, host), getattr(self, name))
                )
                for name in ("http", "grpc", "metrics")
            }
            return replace(self, **{name: port_of(opened) for name, opened in bound.items()})


def listener(name: str, host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises
    ------
    ServerError
        The port is in use, or the host is not an address of this machine.
    """
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
        opened.listen()
    except (OSError, OverflowError) as error:
        opened.close()
        raise ServerError(
            f"Port {port} for {name} on {host} cannot be used ({error}). "
            "Stop the program that uses it, or choose another port."
        ) from None
    return opened


def port_of(opened: socket.socket) -> int:
    return int(opened.getsockname()[1])
