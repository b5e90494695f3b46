"""The blocking client: scores rows given by column name.

Legend: B rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.wire import Tensors
from plumbline.features.encoding.encoder import Encoded
from plumbline.serving.client.connection import Connection, Protocol, Tls
from plumbline.serving.client.core import ClientCore, ServedModel, rows_of
from plumbline.serving.client.retries import DEFAULT, NEVER, Retries
from plumbline.serving.client.transport import Transport
from plumbline.serving.contract.interface import FEATURES_MODEL, FUSED_MODEL
from plumbline.serving.errors import ServerError


class Client(ClientCore):
    """Scores rows with one served model, and encodes them with its feature model.

    It gets the model's columns from the server. Over HTTP, one thread at a time may use a client;
    over gRPC, threads may share it.

    Parameters
    ----------
    url
        Host and port, without a scheme: `127.0.0.1:8000`.
    protocol
        That of the port: `http` or `grpc`.
    model
        The model that scores: `ctr_fused`, the default, or the ensemble `ctr`.
    timeout_seconds
        Time limit of one request. The server also rejects a request that waits longer in its queue.
    version
        The model's version; by default, the newest at each request. A call that needs several
        requests may then be answered by two versions, if one is published meanwhile.
    headers
        Sent with every request: HTTP headers, or gRPC metadata.
    tls
        Encryption; none by default.
    retries
        Policy for requests that could not reach the server or were rejected because it was
        overloaded; by default three attempts, None for no retries.

    Raises
    ------
    ServerUnavailable
        The server cannot be reached.
    ServerError
        It has no such model or version, or the model takes no raw columns.
    """

    def __init__(
        self,
        url: str,
        protocol: Protocol = "http",
        model: str = FUSED_MODEL,
        timeout_seconds: float = 60.0,
        *,
        version: str = "",
        headers: Mapping[str, str] | None = None,
        tls: Tls | None = None,
        retries: Retries | None = DEFAULT,
    ) -> None:
        connection = Connection(url, protocol, timeout_seconds, headers or {}, tls)
        super().__init__(connection, model, version)
        self._transport = Transport(connection, retries or NEVER)
        try:
            self._set_model(self._transport.config(model, version))
        except ServerError:
            self._transport.close()
            raise

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the end of a `with` block does."""
        self._transport.close()

    def score(self, data: Any) -> NDArray[np.float32]:
        """The click probabilities of rows, float32 (B,). `data` is as for `tensors`.

        Raises
        ------
        PlanError
            As in `tensors`.
        ServerUnavailable
            The server cannot be reached or is overloaded, after the retries.
        ServerError
            The server answered with an error.
        """
        return self.predict(self.tensors(data))

    def predict(self, tensors: Tensors) -> NDArray[np.float32]:
        """As `score`, from tensors. More rows than the model's maximum need several requests."""
        return self._model.probabilities(self._infer(self._model, tensors))

    def encode(self, data: Any) -> Encoded:
        """The rows as the feature model encodes them: ids, lists of ids, and floats.

        Raises
        ------
        PlanError, ServerError
            As `score`; also if the feature model has another plan than the model that scores.
        """
        tensors = self.tensors(data)
        encoder = self._encoder or self._set_encoder(
            self._transport.config(FEATURES_MODEL, self._version)
        )
        return encoder.encoded(rows_of(tensors), self._infer(encoder, tensors))

    def _infer(self, model: ServedModel, tensors: Tensors) -> list[Any]:
        return [
            self._transport.infer(model.name, request, model.version)
            for request in model.requests(tensors)
        ]
