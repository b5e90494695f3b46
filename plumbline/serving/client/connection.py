"""How a client reaches a server: address, protocol, time limit, headers, TLS."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from plumbline.serving.errors import ServerError

Protocol = Literal["http", "grpc"]

_GRPC_SECRET = "triton-grpc-protocol-"
"""What Triton puts in front of the name of a restricted endpoint's secret, over gRPC."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Encryption, with the server's certificate always checked; all files are PEM.

    Parameters
    ----------
    authority
        The certificates that vouch for the server: the system's own unless given.
    certificate, key
        The client's own, for a server that asks for one; both or none.
    """

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            given, lacking = ("certificate", "key") if self.key is None else ("key", "certificate")
            raise ServerError(f"TLS: got a {given} without its {lacking}. Give both, or none.")
        for file in (self.authority, self.certificate, self.key):
            if file is not None and not file.is_file():
                raise ServerError(f"{file}: wanted a PEM file for TLS, there is none.")

    def context(self, create: Any = ssl.create_default_context) -> ssl.SSLContext:
        """For HTTPS, made by a function like ssl's own.

        Raises
        ------
        ServerError
            A file is no certificate or key.
        """
        try:
            context: ssl.SSLContext = create(cafile=self.authority)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except (ssl.SSLError, OSError) as error:
            raise ServerError(f"TLS: a certificate or key cannot be read ({error}).") from None
        return context


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a server is and how to speak to it.

    Parameters
    ----------
    url
        Host and port, without a scheme: `127.0.0.1:8000`.
    timeout_seconds
        Time limit of one request.
    headers
        Sent with every request: HTTP headers, or gRPC metadata, whose names become lower case.
    tls
        Encryption. Triton's HTTP has none of its own: there it is for a proxy in front.
    """

    url: str
    protocol: Protocol = "http"
    timeout_seconds: float = 60.0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold secrets
    tls: Tls | None = None

    def __post_init__(self) -> None:
        if "://" in self.url:
            raise ServerError(
                f"Server address {self.url!r}: wanted HOST:PORT without a scheme. "
                "Encryption is asked for with `tls`."
            )
        if self.protocol not in ("http", "grpc"):
            raise ServerError(f"Protocol: wanted 'http' or 'grpc', got {self.protocol!r}.")
        if not self.timeout_seconds > 0.0:
            raise ServerError(f"Time limit: wanted seconds above 0, got {self.timeout_seconds!r}.")

    @property
    def timeout_microseconds(self) -> int:
        return max(1, round(self.timeout_seconds * 1e6))


def secret_header(protocol: Protocol, name: str, value: str) -> dict[str, str]:
    """The header for endpoints that a server protects by a shared secret `name=value`.

    >>> secret_header("grpc", "admin-key", "s3cret")
    {'triton-grpc-protocol-admin-key': 's3cret'}
    """
    return {(_GRPC_SECRET + name if protocol == "grpc" else name): value}
