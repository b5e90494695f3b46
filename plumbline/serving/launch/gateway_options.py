"""The options of a gateway, which stands between clients and a server on loopback."""

from __future__ import annotations

from dataclasses import dataclass, field

from plumbline.serving.errors import ServerError
from plumbline.serving.gateway.settings import Limits
from plumbline.serving.launch.server_options import ServerTls, is_loopback


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
    limits: Limits = field(default_factory=Limits)
    page: bool = True
    """Whether there is a page to try the model."""
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
