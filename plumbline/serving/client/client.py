"""A client that takes rows by column name; what the server wants, it asks the server.

Legend: B rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.wire import Tensors
from plumbline.features.encoding.encoder import Encoded
from plumbline.serving.client.connection import Protocol, Tls
from plumbline.serving.client.retries import NEVER, USUAL, Attempts, Retries
from plumbline.serving.client.served_model import ModelFacts, ServedModel, rows_of
from plumbline.serving.client.transport import connect
from plumbline.serving.contract.interface import FEATURES_MODEL, FUSED_MODEL
from plumbline.serving.errors import ServerError, ServerUnavailable

T = TypeVar("T")


class Client(ModelFacts):
    """Scores rows with one served model, and encodes them with its feature step.

    Over HTTP a client is for one thread at a time; over gRPC it may be shared.

    Parameters
    ----------
    url
        Host and port, without a scheme: `127.0.0.1:8000`.
    model
        The model that scores: `ctr_fused`, or the ensemble `ctr`.
    timeout_seconds
        Time limit of one request, at the server too: what waits longer in its queue is turned away.
    version
        The model's version; unless given, each request takes the newest there is. Rows of one call
        that need several requests may then be of two versions while a new one is published.
    headers
        Sent with every request: HTTP headers, or gRPC metadata.
    tls
        Encryption; none unless given.
    retries
        When a request is repeated that the server could not take; None for never.

    Raises
    ------
    ServerUnavailable
        The server is not there.
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
        retries: Retries | None = USUAL,
    ) -> None:
        self._retries = retries or NEVER
        self._transport = connect(url, protocol, timeout_seconds, headers=headers, tls=tls)
        try:
            self._served = self._read_model(model, version)
        except ServerError:
            self._transport.close()
            raise
        self._encoder: ServedModel | None = None

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
        self._transport.close()

    def score(self, data: Any) -> NDArray[np.float32]:
        """Click probabilities, float32 (B,), of rows as `tensors` takes them.

        Raises
        ------
        PlanError
            As in `tensors`.
        ServerUnavailable
            The server cannot be reached or takes no more requests, after the retries.
        ServerError
            The server's message.
        """
        return self.predict(self.tensors(data))

    def predict(self, tensors: Tensors) -> NDArray[np.float32]:
        """As `score`, of tensors; more rows than the model's maximum go as several requests."""
        return self._model.probabilities(self._infer(self._model, tensors))

    def encode(self, data: Any) -> Encoded:
        """The feature step's answer: ids, lists of ids, floats, of rows as `tensors` takes them.

        Raises
        ------
        PlanError, ServerError
            As `score`; also where the feature step is of another plan than the model.
        """
        tensors = self.tensors(data)
        if self._encoder is None:
            encoder = self._read_model(FEATURES_MODEL, self._model.version)
            self._model.check_same_plan(encoder)
            self._encoder = encoder
        return self._encoder.encoded(rows_of(tensors), self._infer(self._encoder, tensors))

    @property
    def _model(self) -> ServedModel:
        return self._served

    def _read_model(self, model: str, version: str) -> ServedModel:
        config = self._repeated(partial(self._transport.config, model, version))
        return ServedModel(config, version)

    def _infer(self, model: ServedModel, tensors: Tensors) -> list[Any]:
        return [
            self._repeated(partial(self._transport.infer, model.name, request, model.version))
            for request in model.requests(tensors)
        ]

    def _repeated(self, attempt: Callable[[], T]) -> T:
        attempts = Attempts(self._retries)
        while True:
            try:
                return attempt()
            except ServerUnavailable as error:
                time.sleep(attempts.wait_after(error))
