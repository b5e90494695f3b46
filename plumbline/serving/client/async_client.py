"""The client for asyncio: like `plumbline.serving.client.client`, with several requests in flight.

Legend: B rows.
"""

from __future__ import annotations

import asyncio
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
from plumbline.serving.client.transport import AsyncTransport
from plumbline.serving.contract.interface import FEATURES_MODEL, FUSED_MODEL
from plumbline.serving.errors import ServerError


class AsyncClient(ClientCore):
    """Scores rows with one served model, and encodes them with its feature model.

    It connects at `async with`, and belongs to that event loop. Any number of calls may be awaited
    at once. Its parameters are those of `Client`, and one more.

    Parameters
    ----------
    concurrency
        The most requests in flight, over all calls; the others wait in the client.

    Example
    -------
    ```python
    async with AsyncClient("127.0.0.1:8001", "grpc") as client:
        first, second = await asyncio.gather(client.score(some), client.score(others))
    ```
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
        concurrency: int = 8,
    ) -> None:
        if concurrency < 1:
            raise ServerError(f"concurrency: wanted 1 or more requests, got {concurrency}.")
        connection = Connection(url, protocol, timeout_seconds, headers or {}, tls)
        super().__init__(connection, model, version)
        self._retries, self._concurrency = retries or NEVER, concurrency
        self._transport: AsyncTransport | None = None

    async def __aenter__(self) -> AsyncClient:
        """Connect.

        Raises
        ------
        ServerUnavailable
            The server cannot be reached.
        ServerError
            It has no such model or version, or the model takes no raw columns.
        """
        transport = AsyncTransport(self._connection, self._concurrency, self._retries)
        self._transport = transport
        try:
            self._set_model(await transport.config(self._name, self._version))
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; the end of an `async with` block does."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.close()

    async def score(self, data: Any) -> NDArray[np.float32]:
        """As `Client.score`."""
        return await self.predict(self.tensors(data))

    async def predict(self, tensors: Tensors) -> NDArray[np.float32]:
        """As `Client.predict`; up to `concurrency` requests are sent at once."""
        model = self._model
        return model.probabilities(await self._infer(model, tensors))

    async def encode(self, data: Any) -> Encoded:
        """As `Client.encode`."""
        tensors = self.tensors(data)
        encoder = self._encoder or self._set_encoder(
            await self._open_transport.config(FEATURES_MODEL, self._version)
        )
        return encoder.encoded(rows_of(tensors), await self._infer(encoder, tensors))

    async def _infer(self, model: ServedModel, tensors: Tensors) -> list[Any]:
        transport = self._open_transport
        requests = [
            asyncio.ensure_future(transport.infer(model.name, request, model.version))
            for request in model.requests(tensors)
        ]
        try:
            return await asyncio.gather(*requests)
        except BaseException:
            for request in requests:
                request.cancel()
            await asyncio.gather(*requests, return_exceptions=True)
            raise

    @property
    def _open_transport(self) -> AsyncTransport:
        if self._transport is None:
            raise self._not_connected()
        return self._transport
