"""Triton's four client libraries and their differences: HTTP or gRPC, blocking or for asyncio.

A library is imported when a client of its kind is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from plumbline.serving.client.connection import Connection

_LARGEST_MESSAGE = 2**31 - 1
_CHANNEL = [
    ("grpc.max_send_message_length", _LARGEST_MESSAGE),
    ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
]
"""The back-off is short enough that retries reach a server which was restarted."""


@dataclass(frozen=True, slots=True)
class TritonClient:
    """An open `InferenceServerClient` of one library."""

    calls: Any
    """The `InferenceServerClient`; its methods are coroutines in the libraries for asyncio."""
    input_type: Any
    """The library's `InferInput`."""
    headers: Mapping[str, str]
    broken: tuple[type[Exception], ...]
    """Its exceptions for a broken connection, besides OSError."""
    foreign: tuple[type[Exception], ...]
    """Its exceptions for an answer in another protocol."""
    time_limit: Mapping[str, Any] = field(default_factory=dict)
    """Arguments for the time limit of a call; over HTTP the connection has the limit."""
    as_json: Mapping[str, Any] = field(default_factory=dict)
    """Arguments that return a message as JSON, as HTTP always does."""


def open_client(connection: Connection) -> TritonClient:
    """A blocking client: for one thread over HTTP, for any number over gRPC."""
    if connection.protocol == "grpc":
        import tritonclient.grpc

        client = tritonclient.grpc.InferenceServerClient(connection.url, **_grpc(connection))
        return _grpc_client(client, tritonclient.grpc.InferInput, connection)

    import http.client

    import gevent
    import gevent.ssl
    import tritonclient.http
    from geventhttpclient.response import HTTPConnectionClosed
    from rapidjson import JSONDecodeError

    hub = gevent.get_hub()
    if KeyboardInterrupt not in hub.NOT_ERROR:
        hub.NOT_ERROR = (*hub.NOT_ERROR, KeyboardInterrupt)  # it would print one, besides raising
    tls = connection.tls
    context = None if tls is None else tls.context(gevent.ssl.create_default_context)
    client = tritonclient.http.InferenceServerClient(
        connection.url,
        connection_timeout=connection.timeout_seconds,
        network_timeout=connection.timeout_seconds,
        ssl=tls is not None,
        ssl_context_factory=None if context is None else lambda **_: context,
    )
    return TritonClient(
        client,
        tritonclient.http.InferInput,
        connection.headers,
        broken=(HTTPConnectionClosed,),
        foreign=(http.client.HTTPException, JSONDecodeError),
    )


def open_async_client(connection: Connection, connections: int) -> TritonClient:
    """A client for the running event loop. Over HTTP it opens at most `connections`."""
    if connection.protocol == "grpc":
        import tritonclient.grpc.aio

        client = tritonclient.grpc.aio.InferenceServerClient(connection.url, **_grpc(connection))
        return _grpc_client(client, tritonclient.grpc.aio.InferInput, connection)

    import aiohttp
    import tritonclient.http.aio
    from rapidjson import JSONDecodeError

    tls = connection.tls
    client = tritonclient.http.aio.InferenceServerClient(
        connection.url,
        conn_limit=connections,
        conn_timeout=connection.timeout_seconds,
        ssl=tls is not None,
        ssl_context=None if tls is None else tls.context(),
    )
    return TritonClient(
        client,
        tritonclient.http.aio.InferInput,
        connection.headers,
        broken=(aiohttp.ClientConnectionError, aiohttp.ClientPayloadError),
        foreign=(aiohttp.ClientResponseError, JSONDecodeError),
    )


def _grpc_client(client: Any, input_type: Any, connection: Connection) -> TritonClient:
    time_limit = {"client_timeout": connection.timeout_seconds}
    return TritonClient(
        client,
        input_type,
        {
            name.lower(): value for name, value in connection.headers.items()
        },  # gRPC requires lower case
        broken=(),
        foreign=(),
        time_limit=time_limit,
        as_json={"as_json": True, **time_limit},
    )


def _grpc(connection: Connection) -> dict[str, Any]:
    options: dict[str, Any] = {"channel_args": _CHANNEL}
    if connection.tls is not None:
        options |= {
            "ssl": True,
            "root_certificates": connection.tls.authority,
            "private_key": connection.tls.key,
            "certificate_chain": connection.tls.certificate,
        }
    return options
