"""The connection to a server: address, protocol, time limit, headers, shared secret, TLS."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from plumbline.base.files import read_small
from plumbline.serving.errors import ServerError

Protocol = Literal["http", "grpc"]

SECRET_VARIABLE = "PLUMBLINE_SECRET"
"""Environment variable with the secret that server and clients share. The models' processes do not
inherit it."""
SECRET_HEADER = "plumbline-secret"
"""The header for the secret: see `secret_header`."""
CLOSED_HEADER = "plumbline-closed"
"""The header that endpoints ask for which no option of the server opens; nobody has its value."""

_SECRET = re.compile(r"[A-Za-z0-9._~+/=-]{16,}")
"""Secrets that pass unchanged through Triton's command line, HTTP headers and gRPC metadata."""

_GRPC_SECRET = "triton-grpc-protocol-"
"""Triton's prefix for the name of a secret's header, over gRPC."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Encryption; the server's certificate is always checked. All files are PEM.

    Parameters
    ----------
    authority
        The certificates that the server's certificate is checked against; the system's by default.
    certificate, key
        The client's own, for a server that requires one; both or neither.
    """

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            given, missing = ("certificate", "key") if self.key is None else ("key", "certificate")
            raise ServerError(f"TLS: got a {given} without its {missing}. Give both, or neither.")
        for file in (self.authority, self.certificate, self.key):
            if file is not None and not file.is_file():
                raise ServerError(f"{file}: wanted a PEM file for TLS, there is no file.")

    def context(self, create: Any = ssl.create_default_context) -> ssl.SSLContext:
        """The context for HTTPS; `create` has the signature of `ssl.create_default_context`.

        Raises
        ------
        ServerError
            A file has no certificate or key.
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
    """Where a server is and how to connect to it.

    Parameters
    ----------
    url
        Host and port, without a scheme: `127.0.0.1:8000`.
    timeout_seconds
        Time limit of one request.
    headers
        Sent with every request: HTTP headers, or gRPC metadata (in lower case).
    tls
        Encryption. Triton's HTTP port has none, so HTTPS needs a proxy in front of it.
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
                "Pass `tls` for encryption."
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


def read_secret(file: Path | None = None) -> str | None:
    """The file's content without surrounding white space, else the environment variable, else None.

    Raises
    ------
    ServerError
        The file cannot be read, or the secret is too short or has forbidden characters. The message
        does not show it.
    """
    if file is None:
        secret, source = os.environ.get(SECRET_VARIABLE) or None, SECRET_VARIABLE
    else:
        source = str(file)
        try:
            secret = read_small(file).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ServerError(
                f"{file}: wanted a file with the secret, but it cannot be read "
                f"({type(error).__name__})."
            ) from None
    if secret is not None and not _SECRET.fullmatch(secret):
        raise ServerError(
            f"{source}: wanted a secret of 16 or more letters, digits and . _ ~ + / = -, got "
            f"{len(secret)} characters, too few or others. Make one with: openssl rand -hex 32"
        )
    return secret
