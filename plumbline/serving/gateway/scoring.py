"""The model behind the gateway: what it takes, and the scores of rows."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.wire import Tensors
from plumbline.serving.client.connection import SECRET_HEADER, Connection, secret_header
from plumbline.serving.client.core import ServedModel, rows_of
from plumbline.serving.client.transport import AsyncTransport
from plumbline.serving.contract.versions import newest_version
from plumbline.serving.errors import RepositoryError, ServerError
from plumbline.serving.gateway.settings import GatewaySettings
from plumbline.serving.gateway.triton import Triton

REFRESH_SECONDS = 1.0
"""How soon a published version is noticed."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The click probabilities of a request's rows, float32 (B,), and the version that gave them."""

    probability_B: NDArray[np.float32]
    model: ServedModel


class Scoring:
    """Scores rows with the newest version of one model, over Triton's HTTP.

    Every request names the version that its rows were read for, since a version may bring other
    rules of reading.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        secret = settings.triton_secret
        headers = {} if secret is None else secret_header("http", SECRET_HEADER, secret)
        connection = Connection(settings.triton, "http", settings.limits.seconds, headers=headers)
        self._name = settings.model
        self._transport = AsyncTransport(connection, concurrency=1)
        self._triton = Triton(connection)
        self._served: ServedModel | None = None

    @property
    def served(self) -> ServedModel | None:
        """The newest version; None until the server has answered once."""
        return self._served

    async def close(self) -> None:
        self._triton.close()
        await self._transport.close()

    async def refresh(self) -> ServedModel:
        """Ask the server which version is the newest.

        Raises
        ------
        ServerError
            It does not say.
        RepositoryError
            The model's config lists no version.
        """
        config = await self._transport.config(self._name)
        version = newest_version(config.model, config.parameters)
        served = self._served
        if served is None or served.version != version:
            served = self._served = ServedModel(config, version)
        return served

    async def keep_fresh(self) -> None:
        """Refresh at an interval, for ever."""
        while True:
            with suppress(ServerError, RepositoryError):  # the launcher looks after the server
                await self.refresh()
            await asyncio.sleep(REFRESH_SECONDS)

    async def score(self, data: Any, *, at_once: bool) -> Scores:
        """Score rows: a list of mappings or an Arrow table.

        If `at_once`, they are so few that converting them does not keep other requests waiting.

        Raises
        ------
        PlanError
            They do not fit the model.
        RequestRefused
            The model refused a value.
        ServerUnavailable
            The server cannot be reached or is overloaded.
        ServerError
            It answered with another error.
        RepositoryError
            The model's config lists no version.
        """
        served = self._served or await self.refresh()
        try:
            return await self._score(served, data, at_once)
        except ServerError as error:
            newer = await self.refresh()
            if newer is served:
                raise error from None
            return await self._score(newer, data, at_once)

    async def _score(self, served: ServedModel, data: Any, at_once: bool) -> Scores:
        if at_once:
            tensors = served.tensors(data)
        else:
            tensors = await asyncio.to_thread(served.tensors, data)
        requests = served.requests(tensors)
        probability_B = np.concatenate([await self._asked(served, each) for each in requests])
        rows, scores = rows_of(tensors), len(probability_B)
        if scores != rows:
            raise ServerError(f"Model {served.name!r}: wanted {rows} scores, got {scores}.")
        return Scores(probability_B, served)

    async def _asked(self, served: ServedModel, tensors: Tensors) -> NDArray[np.float32]:
        return await self._triton.scores(served.name, served.version, tensors)
