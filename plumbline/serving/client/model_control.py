"""Triton's model control: load a model anew while the server runs, and see what is ready.

No call is repeated: whether a load that broke off has taken effect is for the caller to find out.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from plumbline.serving.client.connection import Connection
from plumbline.serving.client.exchange import server_errors
from plumbline.serving.client.transport import BROKEN, GrpcTransport, HttpTransport, Transport


class ModelControl(Transport):
    """A connection that loads models too; its time limit is that of one load."""

    @abstractmethod
    def load(self, model: str) -> None:
        """Read a model's config again, and load the versions it lists, beside those that serve.

        Raises
        ------
        ServerError
            A version does not load (the versions before go on), or the endpoint is closed.
        """

    @abstractmethod
    def ready_versions(self, model: str) -> set[str]:
        """The versions that are loaded.

        Raises
        ------
        ServerError
            The endpoint is closed.
        """


class HttpModelControl(HttpTransport, ModelControl):
    """Over HTTP."""

    def load(self, model: str) -> None:
        with server_errors(self._connection, BROKEN):
            self._client.load_model(model, dict(self._connection.headers))

    def ready_versions(self, model: str) -> set[str]:
        with server_errors(self._connection, BROKEN):
            index = self._client.get_model_repository_index(dict(self._connection.headers))
            return _ready(model, index)


class GrpcModelControl(GrpcTransport, ModelControl):
    """Over gRPC."""

    def load(self, model: str) -> None:
        with server_errors(self._connection):
            self._client.load_model(
                model, self._metadata, client_timeout=self._connection.timeout_seconds
            )

    def ready_versions(self, model: str) -> set[str]:
        with server_errors(self._connection):
            answer = self._client.get_model_repository_index(
                self._metadata,
                as_json=True,
                client_timeout=self._connection.timeout_seconds,
            )
            return _ready(model, answer.get("models", []))


def model_control(connection: Connection) -> ModelControl:
    kind = GrpcModelControl if connection.protocol == "grpc" else HttpModelControl
    return kind(connection)


def _ready(model: str, index: Iterable[Mapping[str, Any]]) -> set[str]:
    return {
        str(entry["version"])
        for entry in index
        if entry["name"] == model and entry.get("state") == "READY"
    }
