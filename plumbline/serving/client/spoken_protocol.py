"""What a port speaks, to tell who has asked it in another protocol."""

from __future__ import annotations

import socket
import ssl
from typing import Literal

Spoken = Literal["http", "grpc", "tls"]

_SECONDS = 0.5
_REQUEST = b"GET /v2 HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n"
_SETTINGS_FRAME = 4
_ALERT = 0x15

_NAMES = {"http": "HTTP", "grpc": "gRPC"}
_PORTS = {"http": 8000, "grpc": 8001}


def spoken_at(url: str) -> Spoken | None:
    """What answers at HOST:PORT; None where nothing does, or nothing that is known here.

    A server of gRPC begins with the settings of HTTP/2, whatever it is sent.
    """
    place = _place(url)
    if place is None:
        return None
    try:
        answer = _answer(*place)
    except (OSError, OverflowError):
        return None
    if answer.startswith(b"HTTP/1"):
        return "http"
    if len(answer) > 3 and answer[3] == _SETTINGS_FRAME:
        return "grpc"
    return tls_at(url) if not answer or answer[0] == _ALERT else None


def tls_at(url: str) -> Spoken | None:
    """Whether TLS is what answers at HOST:PORT; nothing but a handshake is sent."""
    place = _place(url)
    if place is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection(place, _SECONDS) as connection,
            context.wrap_socket(connection, server_hostname=place[0]),
        ):
            return "tls"
    except ssl.SSLError as error:
        return "tls" if "ALERT" in str(error).upper() else None  # it wants a certificate
    except (OSError, OverflowError, ValueError):
        return None


def _place(url: str) -> tuple[str, int] | None:
    host, _, port = url.rpartition(":")
    host = host.strip("[]")
    return (host, int(port)) if host and port.isdecimal() else None


def advice(url: str, protocol: str, is_encrypted: bool, spoken: Spoken) -> str | None:
    """What to ask for instead of `protocol`; None where the port speaks it.

    >>> advice("host:8000", "grpc", False, "http")
    'Triton at host:8000 speaks HTTP: give --protocol http (in Python protocol="http"), or its \
port for gRPC, which is 8001 unless told otherwise.'
    """
    if spoken == "tls":
        if is_encrypted:
            return None
        return (
            f"Triton at {url} speaks TLS: give the certificates that vouch for it (--ca; in Python "
            "tls=Tls(…))."
        )
    if spoken != protocol:
        return (
            f"Triton at {url} speaks {_NAMES[spoken]}: give --protocol {spoken} (in Python "
            f'protocol="{spoken}"), or its port for {_NAMES[protocol]}, which is '
            f"{_PORTS[protocol]} unless told otherwise."
        )
    if is_encrypted:
        return (
            f"Triton at {url} speaks {_NAMES[spoken]} without TLS: leave out what asks for it "
            "(--ca; in Python tls)."
        )
    return None


def _answer(host: str, port: int) -> bytes:
    with socket.create_connection((host, port), _SECONDS) as connection:
        connection.sendall(_REQUEST % host.encode("idna"))
        try:
            return connection.recv(64)
        except ConnectionError:
            return b""
