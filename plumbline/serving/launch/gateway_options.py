"""The options of a gateway, which stands between clients and a server on loopback."""

from __future__ import annotations

from dataclasses import dataclass

from plumbline.serving.errors import ServerError
from plumbline.serving.launch.server_options import ServerTls, is_loopback


@dataclass(frozen=True, slots=True)
class Limits:
    """What the gateway passes on at most. Raises ServerError if a limit is not above 0."""

    body_bytes: int = 32 * 2**20
    rows: int = 16_384
    in_flight: int = 64
    seconds: float = 10.0
    """The longest that a request may take."""

    def __post_init__(self) -> None:
        for option, value in (
            ("--max-body", self.body_bytes),
            ("--max-rows", self.rows),
            ("--max-in-flight", self.in_flight),
            ("--request-seconds", self.seconds),
        ):
            if not value > 0:
                raise ServerError(f"{option}: wanted a number above 0, got {value}.")


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """Where the gateway listens, and what it asks of clients.

    Raises ServerError if there is no process.
    """

    host: str
    port: int = 8080
    processes: int = 1
    """They share the port."""
    secret: str | None = None
    """If it is set, every request needs it."""
    tls: ServerTls | None = None
    limits: Limits = Limits()
    module: str = "plumbline.serving.gateway"
    """What a process runs."""

    def __post_init__(self) -> None:
        if self.processes < 1:
            raise ServerError(
                f"--gateway-processes: wanted 1 or more, got {self.processes}. "
                "Leave the gateway out with --no-gateway."
            )

    @property
    def warning(self) -> str | None:
        """What is open to the network, perhaps by mistake; None for a gateway on loopback."""
        if is_loopback(self.host):
            return None
        open_to_all = []
        if self.tls is None:
            open_to_all.append("nothing is encrypted (see --tls-certificate)")
        if self.secret is None:
            open_to_all.append("anyone who can reach it gets scores (see --secret-file)")
        return f"{self.host}: {'; '.join(open_to_all)}." if open_to_all else None
