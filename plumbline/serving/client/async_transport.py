"""The two protocols for asyncio: what `plumbline.serving.client.transport` does, without
blocking."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Any

import aiohttp
import tritonclient.grpc.aio
import tritonclient.http.aio
from rapidjson import JSONDecodeError

from plumbline.columns.wire import Tensors
from plumbline.serving.client.connection import Connection
from plumbline.serving.client.exchange import (
    GRPC_CHANNEL,
    ModelConfig,
    grpc_files,
    grpc_metadata,
    inputs,
    model_config,
    server_errors,
)

_BROKEN = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)
_STRANGE = (aiohttp.ClientResponseError, JSONDecodeError)


class AsyncTransport(ABC):
    """A connection to a server, for the event loop in which it was made."""

    @abstractmethod
    async def config(self, model: str, version: str = "") -> ModelConfig:
        """Raises ServerError where the server is not there or has no such model or version."""

    @abstractmethod
    async def infer(self, model: str, tensors: Tensors, version: str = "") -> Any:
        """One request; the answer has `as_numpy(name)`.

        Raises
        ------
        ServerUnavailable
            The server cannot be reached, or takes no more requests now.
        ServerError
            The server's own message.
        """

    @abstractmethod
    async def close(self) -> None:
        """End the connection."""


class AsyncHttpTransport(AsyncTransport):
    """HTTP with binary tensors; `connections` is how many requests may be under way."""

    def __init__(self, connection: Connection, connections: int) -> None:
        self._connection = connection
        tls = connection.tls
        self._client = tritonclient.http.aio.InferenceServerClient(
            connection.url,
            conn_limit=connections,
            conn_timeout=connection.timeout_seconds,
            ssl=tls is not None,
            ssl_context=None if tls is None else tls.context(),
        )

    async def config(self, model: str, version: str = "") -> ModelConfig:
        with server_errors(self._connection, _BROKEN, _STRANGE):
            headers = dict(self._connection.headers)
            return model_config(await self._client.get_model_config(model, version, headers))

    async def infer(self, model: str, tensors: Tensors, version: str = "") -> Any:
        with server_errors(self._connection, _BROKEN, _STRANGE):
            return await self._client.infer(
                model,
                inputs(tritonclient.http.InferInput, tensors),
                version,
                timeout=self._connection.timeout_microseconds,
                headers=dict(self._connection.headers),  # it puts a header of its own among them
            )

    async def close(self) -> None:
        await self._client.close()


class AsyncGrpcTransport(AsyncTransport):
    """gRPC. A request whose asker is cancelled goes on to its end.

    A Triton before 2.59 may die of a cancelled call (pull requests 7840, 8078 and 8220 of its
    server), and the answer would have been computed anyway.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._under_way: set[asyncio.Future[Any]] = set()
        self._metadata = grpc_metadata(connection.headers)
        self._client = tritonclient.grpc.aio.InferenceServerClient(
            connection.url, channel_args=GRPC_CHANNEL, **grpc_files(connection.tls)
        )

    async def config(self, model: str, version: str = "") -> ModelConfig:
        with server_errors(self._connection):
            answer = await self._client.get_model_config(
                model,
                version,
                self._metadata,
                as_json=True,
                client_timeout=self._connection.timeout_seconds,
            )
            return model_config(answer["config"])

    async def infer(self, model: str, tensors: Tensors, version: str = "") -> Any:
        call = asyncio.ensure_future(
            self._client.infer(
                model,
                inputs(tritonclient.grpc.InferInput, tensors),
                version,
                timeout=self._connection.timeout_microseconds,
                client_timeout=self._connection.timeout_seconds,
                headers=self._metadata,
            )
        )
        self._under_way.add(call)
        call.add_done_callback(self._under_way.discard)
        with server_errors(self._connection):
            return await asyncio.shield(call)

    async def close(self) -> None:
        """End the connection when the requests under way have ended."""
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._client.close()


def connect_async(connection: Connection, connections: int) -> AsyncTransport:
    """To be called in the event loop that will use it."""
    if connection.protocol == "grpc":
        return AsyncGrpcTransport(connection)
    return AsyncHttpTransport(connection, connections)
