"""Turn the exceptions of Triton's client libraries into ServerError."""

from __future__ import annotations

import asyncio
import ssl

from tritonclient.utils import InferenceServerException

from plumbline.serving.client.connection import (
    CLOSED_HEADER,
    SECRET_HEADER,
    SECRET_VARIABLE,
    Connection,
)
from plumbline.serving.client.wrong_protocol import Speaks, advice, probe, probe_tls
from plumbline.serving.errors import (
    RequestRefused,
    ServerBusy,
    ServerError,
    ServerTimeout,
    ServerUnavailable,
)

FAILURES = (InferenceServerException, OSError, asyncio.TimeoutError)
"""Exceptions of all the libraries; each has a few more."""

_UNAVAILABLE = ("429", "502", "503", "StatusCode.UNAVAILABLE")
"""Statuses of Triton over HTTP and gRPC, and of a proxy whose server is down or overloaded."""
_REFUSED = ("400", "StatusCode.INVALID_ARGUMENT")
_NOT_CONNECTED = "failed to connect to all addresses"
"""gRPC's message; its status is the same as that of an overloaded server."""
_RESTRICTED = "This protocol is restricted"
"""Triton's gRPC message if a secret header is missing or wrong; its status is the same, too."""
_REMEDIES = {
    CLOSED_HEADER: "The server keeps this closed: start it with --allow-model-control.",
    SECRET_HEADER: f"The secret is missing or wrong: {SECRET_VARIABLE} or --secret-file has it.",
}
"""What to do if Triton asks for a header, by its name."""
_SPOILT = "incomplete string data for inference input"
"""Triton's Python backend rejects a whole batch if the last string of one request is cut short. The
requests of this client are not, so that was another one."""
_BUSY = ("The server is busy", "maximum queue size")
"""Rejections of this project's backend, and of Triton's own queue."""
_OTHER_PROTOCOL = "Failed parsing HTTP/2"
_CLOSED = ("Socket closed", "andshake", "reset by peer", "onnection closed", "disconnected")
"""Messages of a connection that a server accepted and closed."""
_DEADLINE = "StatusCode.DEADLINE_EXCEEDED"


def server_error(
    error: Exception, connection: Connection, broken: tuple[type[Exception], ...] = ()
) -> ServerError:
    """The ServerUnavailable or ServerError for a library's exception.

    `broken` are the library's exceptions for a broken connection, besides OSError. Other exceptions
    that are not in FAILURES mean an answer in another protocol. If the server seems to speak one,
    its port is probed, and the message names the protocol.
    """
    url = connection.url
    if isinstance(error, InferenceServerException):
        return _refusal(error, connection)
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return _timed_out(url)
    if isinstance(error, ssl.SSLError):
        return _advice(connection, probe(url)) or ServerError(
            f"Triton at {url}: the TLS handshake failed ({error})."
        )
    if isinstance(error, (OSError, *broken)):
        return _closed(connection, error)
    return _foreign(connection)


def _refusal(error: InferenceServerException, connection: Connection) -> ServerError:
    message = error.message()
    if error.status() == _DEADLINE:
        return _timed_out(connection.url)
    if _OTHER_PROTOCOL in message:
        return _foreign(connection)
    if _NOT_CONNECTED in message:
        return _closed(connection, message)
    is_unavailable = error.status() in _UNAVAILABLE and _RESTRICTED not in message
    if error.status() in _REFUSED and _SPOILT not in message:
        return RequestRefused(connection.url, message)
    remedy = next((text for header, text in _REMEDIES.items() if f"{header}'" in message), None)
    text = f"Triton at {connection.url}: {message}" + (f". {remedy}" if remedy else "")
    if is_unavailable and any(words in message for words in _BUSY):
        return ServerBusy(text)
    kind = ServerUnavailable if is_unavailable or _SPOILT in message else ServerError
    return kind(text)


def _closed(connection: Connection, cause: object) -> ServerError:
    """The error for a refused or closed connection; a port of another protocol closes it.

    After plain HTTP, only TLS is tried: a server that requires TLS gets no other request.
    """
    advised = None
    if connection.tls is not None or any(word in str(cause) for word in _CLOSED):
        is_plain_http = connection.protocol == "http" and connection.tls is None
        found = probe_tls(connection.url) if is_plain_http else probe(connection.url)
        advised = _advice(connection, found)
    return advised or ServerUnavailable(
        f"Triton at {connection.url} cannot be reached ({cause}). Start it, or give its address."
    )


def _foreign(connection: Connection) -> ServerError:
    return _advice(connection, probe(connection.url)) or ServerError(
        f"{connection.url} answers in another protocol. Triton has one port for HTTP (8000 by "
        "default), one for gRPC (8001) and one for metrics only (8002), and TLS only if it is "
        "switched on."
    )


def _advice(connection: Connection, found: Speaks | None) -> ServerError | None:
    """An error that says what to use instead, if the port speaks another protocol."""
    if found is None:
        return None
    text = advice(connection.url, connection.protocol, connection.tls is not None, found)
    return None if text is None else ServerError(text)


def _timed_out(url: str) -> ServerError:
    return ServerTimeout(
        f"Triton at {url} did not answer within the time limit of the request. "
        "Send fewer rows at once, or raise the limit."
    )
