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
    host, _, port = url.rpartition(":")
    host = host.strip("[]")
    if not (host and port.isdecimal()):
        return None
    try:
        answer = _answer(host, int(port))
        if answer.startswith(b"HTTP/1"):
            return "http"
        if len(answer) > 3 and answer[3] == _SETTINGS_FRAME:
            return "grpc"
        if not answer or answer[0] == _ALERT:
            return "tls" if _has_tls(host, int(port)) else None
    except (OSError, OverflowError):
        pass
    return None


def advice(url: str, protocol: str, is_encrypted: bool, spoken: Spoken) -> str | None:
    """What to ask for instead of `protocol`; None where the port speaks it.

    >>> advice("host:8000", "grpc", False, "http")
    'host:8000 speaks HTTP: give --protocol http (in Python protocol="http"), or its port for \
gRPC, which is 8001 unless told otherwise.'
    """
    if spoken == "tls":
        if is_encrypted:
            return None
        return (
            f"{url} speaks TLS: give the certificates that vouch for it (--ca; in Python "
            "tls=Tls(…))."
        )
    if spoken != protocol:
        return (
            f"{url} speaks {_NAMES[spoken]}: give --protocol {spoken} (in Python "
            f'protocol="{spoken}"), or its port for {_NAMES[protocol]}, which is '
            f"{_PORTS[protocol]} unless told otherwise."
        )
    if is_encrypted:
        return (
            f"{url} speaks {_NAMES[spoken]} without TLS: leave out what asks for it (--ca; in "
            "Python tls)."
        )
    return None


def _answer(host: str, port: int) -> bytes:
    with socket.create_connection((host, port), _SECONDS) as connection:
        connection.sendall(_REQUEST % host.encode("idna"))
        try:
            return connection.recv(64)
        except ConnectionError:
            return b""


def _has_tls(host: str, port: int) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # only whether it speaks TLS, nothing is sent
    try:
        with (
            socket.create_connection((host, port), _SECONDS) as connection,
            context.wrap_socket(connection, server_hostname=host),
        ):
            return True
    except ssl.SSLError as error:
        return "ALERT" in str(error).upper()  # it wants a certificate of the client
