"""Find out which protocol a port speaks, after another one failed."""

from __future__ import annotations

import socket
import ssl
from typing import Literal

Speaks = Literal["http", "grpc", "tls"]

_SECONDS = 0.5
_REQUEST = b"GET /v2 HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n"
_SETTINGS_FRAME = 4
_ALERT = 0x15

_NAMES = {"http": "HTTP", "grpc": "gRPC"}
_PORTS = {"http": 8000, "grpc": 8001}


def probe(url: str) -> Speaks | None:
    """The protocol of the server at HOST:PORT; None if it does not answer, or in an unknown one.

    A gRPC server begins with the settings of HTTP/2, whatever it receives.
    """
    address = _address(url)
    if address is None:
        return None
    try:
        answer = _answer(*address)
    except (OSError, OverflowError):
        return None
    if answer.startswith(b"HTTP/1"):
        return "http"
    if len(answer) > 3 and answer[3] == _SETTINGS_FRAME:
        return "grpc"
    return probe_tls(url) if not answer or answer[0] == _ALERT else None


def probe_tls(url: str) -> Speaks | None:
    """Whether the server at HOST:PORT speaks TLS. Only a handshake is sent."""
    address = _address(url)
    if address is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection(address, _SECONDS) as connection,
            context.wrap_socket(connection, server_hostname=address[0]),
        ):
            return "tls"
    except ssl.SSLError as error:
        return "tls" if "ALERT" in str(error).upper() else None  # it requires a certificate
    except (OSError, OverflowError, ValueError):
        return None


def advice(url: str, protocol: str, is_encrypted: bool, speaks: Speaks) -> str | None:
    """What to use instead of `protocol`; None if the port speaks it.

    >>> advice("host:8000", "grpc", False, "http")
    'Triton at host:8000 speaks HTTP: give --protocol http (in Python protocol="http"), or its \
port for gRPC, which is 8001 by default.'
    """
    if speaks == "tls":
        if is_encrypted:
            return None
        return (
            f"Triton at {url} speaks TLS: give the certificates to check it against (--ca; in "
            "Python tls=Tls(…))."
        )
    if speaks != protocol:
        return (
            f"Triton at {url} speaks {_NAMES[speaks]}: give --protocol {speaks} (in Python "
            f'protocol="{speaks}"), or its port for {_NAMES[protocol]}, which is '
            f"{_PORTS[protocol]} by default."
        )
    if is_encrypted:
        return (
            f"Triton at {url} speaks {_NAMES[speaks]} without TLS: leave TLS out (--ca; in Python "
            "tls)."
        )
    return None


def _address(url: str) -> tuple[str, int] | None:
    host, _, port = url.rpartition(":")
    host = host.strip("[]")
    return (host, int(port)) if host and port.isdecimal() else None


def _answer(host: str, port: int) -> bytes:
    with socket.create_connection((host, port), _SECONDS) as connection:
        connection.sendall(_REQUEST % host.encode("idna"))
        try:
            return connection.recv(64)
        except ConnectionError:
            return b""
