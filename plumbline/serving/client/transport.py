"""Triton's two protocols behind one interface: a model's config, and one inference."""

from __future__ import annotations

import http.client
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import gevent.ssl
import tritonclient.grpc
import tritonclient.http
from geventhttpclient.response import HTTPConnectionClosed
from rapidjson import JSONDecodeError

from plumbline.columns.wire import Tensors
from plumbline.serving.client.connection import Connection, Protocol, Tls
from plumbline.serving.client.exchange import (
    GRPC_CHANNEL,
    ModelConfig,
    grpc_files,
    grpc_metadata,
    inputs,
    model_config,
    server_errors,
)

BROKEN = (HTTPConnectionClosed,)
STRANGE = (http.client.HTTPException, JSONDecodeError)


class Transport(ABC):
    """A connection to a server; `HttpTransport` is for one thread, `GrpcTransport` for any."""

    @abstractmethod
    def config(self, model: str, version: str = "") -> ModelConfig:
        """Raises ServerError where the server is not there or has no such model or version."""

    @abstractmethod
    def infer(self, model: str, tensors: Tensors, version: str = "") -> Any:
        """One request; the answer has `as_numpy(name)`.

        Raises
        ------
        ServerUnavailable
            The server cannot be reached, or takes no more requests now.
        ServerError
            The server's own message.
        """

    @abstractmethod
    def close(self) -> None:
        """End the connection."""


class HttpTransport(Transport):
    """HTTP with binary tensors."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        tls = connection.tls
        context = None if tls is None else tls.context(gevent.ssl.create_default_context)
        self._client = tritonclient.http.InferenceServerClient(
            connection.url,
            connection_timeout=connection.timeout_seconds,
            network_timeout=connection.timeout_seconds,
            ssl=tls is not None,
            ssl_context_factory=None if context is None else lambda **_: context,
        )

    def config(self, model: str, version: str = "") -> ModelConfig:
        with server_errors(self._connection, BROKEN, STRANGE):
            headers = dict(self._connection.headers)
            return model_config(self._client.get_model_config(model, version, headers))

    def infer(self, model: str, tensors: Tensors, version: str = "") -> Any:
        with server_errors(self._connection, BROKEN, STRANGE):
            return self._client.infer(
                model,
                inputs(tritonclient.http.InferInput, tensors),
                version,
                timeout=self._connection.timeout_microseconds,
                headers=dict(self._connection.headers),  # it puts a header of its own among them
            )

    def close(self) -> None:
        self._client.close()


class GrpcTransport(Transport):
    """gRPC."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._metadata = grpc_metadata(connection.headers)
        self._client = tritonclient.grpc.InferenceServerClient(
            connection.url, channel_args=GRPC_CHANNEL, **grpc_files(connection.tls)
        )

    def config(self, model: str, version: str = "") -> ModelConfig:
        with server_errors(self._connection):
            answer = self._client.get_model_config(
                model,
                version,
                self._metadata,
                as_json=True,
                client_timeout=self._connection.timeout_seconds,
            )
            return model_config(answer["config"])

    def infer(self, model: str, tensors: Tensors, version: str = "") -> Any:
        with server_errors(self._connection):
            return self._client.infer(
                model,
                inputs(tritonclient.grpc.InferInput, tensors),
                version,
                timeout=self._connection.timeout_microseconds,
                client_timeout=self._connection.timeout_seconds,
                headers=self._metadata,
            )

    def close(self) -> None:
        self._client.close()


def connect(
    url: str,
    protocol: Protocol,
    timeout_seconds: float,
    *,
    headers: Mapping[str, str] | None = None,
    tls: Tls | None = None,
) -> Transport:
    """The options are those of `plumbline.serving.client.connection.Connection`."""
    connection = Connection(url, protocol, timeout_seconds, headers or {}, tls)
    return GrpcTransport(connection) if protocol == "grpc" else HttpTransport(connection)
