"""The client for asyncio: what `plumbline.serving.client.client` does, with several requests under
way at once.

Legend: B rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.wire import Tensors
from plumbline.features.encoding.encoder import Encoded
from plumbline.serving.client.async_transport import AsyncTransport, connect_async
from plumbline.serving.client.connection import Connection, Protocol, Tls
from plumbline.serving.client.retries import NEVER, USUAL, Attempts, Retries
from plumbline.serving.client.served_model import ModelFacts, ServedModel, rows_of
from plumbline.serving.contract.interface import FEATURES_MODEL, FUSED_MODEL
from plumbline.serving.errors import ServerError, ServerUnavailable

T = TypeVar("T")


class AsyncClient(ModelFacts):
    """Scores rows with one served model, and encodes them with its feature step.

    It connects at `async with`, and belongs to that event loop; any number of its calls may wait
    at once. The parameters are those of `plumbline.serving.client.client.Client`, and one more.

    Parameters
    ----------
    concurrency
        How many requests are under way at once at most, over all calls; the others wait here.

    Example
    -------
    ::

        async with AsyncClient("127.0.0.1:8001", "grpc") as client:
            first, second = await asyncio.gather(client.score(some), client.score(others))
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
        concurrency: int = 8,
    ) -> None:
        if concurrency < 1:
            raise ServerError(f"concurrency: wanted 1 or more requests, got {concurrency}.")
        self._connection = Connection(url, protocol, timeout_seconds, headers or {}, tls)
        self._name, self._version = model, version
        self._retries = retries or NEVER
        self._concurrency = concurrency
        self._places = asyncio.Semaphore(concurrency)
        self._transport: AsyncTransport | None = None
        self._served: ServedModel | None = None
        self._encoder: ServedModel | None = None

    async def __aenter__(self) -> AsyncClient:
        """Connect.

        Raises
        ------
        ServerUnavailable
            The server is not there.
        ServerError
            It has no such model or version, or the model takes no raw columns.
        """
        self._transport = connect_async(self._connection, self._concurrency)
        try:
            self._served = await self._read_model(self._name)
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
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.close()

    async def score(self, data: Any) -> NDArray[np.float32]:
        """As `Client.score`."""
        return await self.predict(self.tensors(data))

    async def predict(self, tensors: Tensors) -> NDArray[np.float32]:
        """As `Client.predict`; the requests go out at once, as far as `concurrency` allows."""
        model = self._model
        return model.probabilities(await self._infer(model, tensors))

    async def encode(self, data: Any) -> Encoded:
        """As `Client.encode`."""
        tensors = self.tensors(data)
        if self._encoder is None:
            encoder = await self._read_model(FEATURES_MODEL)
            self._model.check_same_plan(encoder)
            self._encoder = encoder
        answers = await self._infer(self._encoder, tensors)
        return self._encoder.encoded(rows_of(tensors), answers)

    @property
    def _model(self) -> ServedModel:
        if self._served is None:
            raise self._not_connected()
        return self._served

    def _not_connected(self) -> ServerError:
        return ServerError(
            f"The client of {self._connection.url} is not connected. "
            "Use it inside `async with AsyncClient(…) as client:`."
        )

    async def _read_model(self, model: str) -> ServedModel:
        config = partial(self._open_transport.config, model, self._version)
        return ServedModel(await self._repeated(config), self._version)

    async def _infer(self, model: ServedModel, tensors: Tensors) -> list[Any]:
        async def answer(request: Tensors) -> Any:
            async with self._places:
                return await self._open_transport.infer(model.name, request, model.version)

        requests = [
            asyncio.ensure_future(self._repeated(partial(answer, request)))
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

    async def _repeated(self, attempt: Callable[[], Awaitable[T]]) -> T:
        attempts = Attempts(self._retries)
        while True:
            try:
                return await attempt()
            except ServerUnavailable as error:
                await asyncio.sleep(attempts.wait_after(error))
