"""Send a request to a Triton server over HTTP or gRPC, and get the answer, with retries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from tritonclient.utils import np_to_triton_dtype

from plumbline.columns.wire import Tensors
from plumbline.serving.client.connection import Connection
from plumbline.serving.client.retries import NEVER, Retries
from plumbline.serving.client.server_errors import FAILURES, server_error
from plumbline.serving.client.triton_clients import TritonClient, open_async_client, open_client
from plumbline.serving.errors import ServerUnavailable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The parts of a served model's config that a client needs."""

    model: str
    max_batch_size: int
    parameters: Mapping[str, str]

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> ModelConfig:
        """From the server's answer. Over gRPC it has one more level."""
        config = answer.get("config", answer)
        return cls(
            model=str(config["name"]),
            max_batch_size=int(config["max_batch_size"]),
            parameters={
                key: value.get("string_value", "")
                for key, value in config.get("parameters", {}).items()
            },
        )


class _Calls:
    """The calls of a client library, blocking or asynchronous, and their exceptions."""

    def __init__(
        self,
        connection: Connection,
        retries: Retries,
        client: TritonClient,
        request_id: str = "",
        queue_seconds: float | None = None,
    ) -> None:
        self._connection, self._retries, self._request_id = connection, retries, request_id
        self._triton = client
        self._timeout_microseconds = (
            connection.timeout_microseconds if queue_seconds is None else round(queue_seconds * 1e6)
        )
        self._failures = (*FAILURES, *client.broken, *client.foreign)

    def _get_config(self, model: str, version: str) -> Any:
        triton = self._triton
        return triton.calls.get_model_config(model, version, self._headers(), **triton.as_json)

    def _is_ready(self, model: str, version: str) -> Any:
        triton = self._triton
        return triton.calls.is_model_ready(model, version, self._headers(), **triton.time_limit)

    def _infer(self, model: str, tensors: Tensors, version: str) -> Any:
        triton, inputs = self._triton, []
        for name, tensor in tensors.items():
            data_type = np_to_triton_dtype(tensor.dtype)
            inputs.append(triton.input_type(name, list(tensor.shape), data_type))
            inputs[-1].set_data_from_numpy(tensor)
        return triton.calls.infer(
            model,
            inputs,
            version,
            request_id=self._request_id,
            timeout=self._timeout_microseconds,
            headers=self._headers(),
            **triton.time_limit,
        )

    def _headers(self) -> dict[str, str]:
        """A copy, because the HTTP library adds a header of its own."""
        return dict(self._triton.headers)

    def _failed(self, error: Exception) -> ServerUnavailable:
        """The error, if the request may be retried after it.

        Raises
        ------
        ServerError
            It may not be retried.
        """
        failure = server_error(error, self._connection, self._triton.broken)
        if isinstance(failure, ServerUnavailable):
            return failure
        raise failure from None


class Transport(_Calls):
    """A connection to a server. Over HTTP one thread at a time may use it, over gRPC any number.

    The server gets the `request_id` with every request for outputs, and rejects one that has waited
    for `queue_seconds` in a queue; by default, for the time limit of the connection.
    """

    def __init__(
        self,
        connection: Connection,
        retries: Retries = NEVER,
        request_id: str = "",
        queue_seconds: float | None = None,
    ) -> None:
        client = open_client(connection)
        super().__init__(connection, retries, client, request_id, queue_seconds)

    def config(self, model: str, version: str = "") -> ModelConfig:
        """Raises ServerError if the server cannot be reached or has no such model or version."""
        return ModelConfig.from_json(self._send(partial(self._get_config, model, version)))

    def is_ready(self, model: str, version: str) -> bool:
        """Whether the version is loaded. Raises ServerUnavailable if the server is not reached."""
        return bool(self._send(partial(self._is_ready, model, version)))

    def infer(self, model: str, tensors: Tensors, version: str = "") -> Any:
        """Send one request. The answer has a method `as_numpy(name)`.

        Raises
        ------
        ServerUnavailable
            The server cannot be reached or is overloaded, after the retries.
        ServerError
            The server answered with an error.
        """
        return self._send(partial(self._infer, model, tensors, version))

    def close(self) -> None:
        """End the connection."""
        self._triton.calls.close()

    def _send(self, call: Callable[[], T]) -> T:
        started, attempts = time.monotonic(), 0
        while True:
            try:
                return call()
            except self._failures as error:
                failed = self._failed(error)
            attempts += 1
            time.sleep(self._retries.delay(failed, attempts, time.monotonic() - started))


class AsyncTransport(_Calls):
    """A connection to a server, for the event loop that it is created in.

    `concurrency` is the most requests in flight; the others wait here.

    If a task that awaits a gRPC request is cancelled, the request still runs to its end: Triton
    before 2.59 may crash when a call is cancelled (pull requests 7840, 8078 and 8220 of its
    server), and would compute the answer anyway.
    """

    def __init__(self, connection: Connection, concurrency: int, retries: Retries = NEVER) -> None:
        super().__init__(connection, retries, open_async_client(connection, concurrency))
        self._slots = asyncio.Semaphore(concurrency)
        self._in_flight: set[asyncio.Future[Any]] = set()

    async def config(self, model: str, version: str = "") -> ModelConfig:
        """As `Transport.config`."""
        return ModelConfig.from_json(await self._send(partial(self._get_config, model, version)))

    async def infer(self, model: str, tensors: Tensors, version: str = "") -> Any:
        """As `Transport.infer`."""
        return await self._send(partial(self._uncancelled_infer, model, tensors, version))

    async def close(self) -> None:
        """End the connection when the gRPC requests in flight have ended."""
        await asyncio.gather(*self._in_flight, return_exceptions=True)
        await self._triton.calls.close()

    async def _send(self, call: Callable[[], Awaitable[T]]) -> T:
        started, attempts = time.monotonic(), 0
        while True:
            try:
                async with self._slots:
                    return await call()
            except self._failures as error:
                failed = self._failed(error)
            attempts += 1
            await asyncio.sleep(self._retries.delay(failed, attempts, time.monotonic() - started))

    def _uncancelled_infer(self, model: str, tensors: Tensors, version: str) -> Awaitable[Any]:
        call: Awaitable[Any] = self._infer(model, tensors, version)
        if self._connection.protocol == "http":
            return call
        task = asyncio.ensure_future(call)
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)
        return asyncio.shield(task)
