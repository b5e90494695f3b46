"""Answers requests for scores."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from plumbline.serving.gateway import answers
from plumbline.serving.gateway.answers import JSON
from plumbline.serving.gateway.arrow_rows import MEDIA_TYPE, table_of_arrow
from plumbline.serving.gateway.body import BodyReader
from plumbline.serving.gateway.errors import Refused
from plumbline.serving.gateway.guarded import guarded
from plumbline.serving.gateway.json_rows import rows_of_json
from plumbline.serving.gateway.launcher import Launcher
from plumbline.serving.gateway.metrics import Metrics
from plumbline.serving.gateway.scoring import Scores, Scoring
from plumbline.serving.gateway.settings import Limits

AT_ONCE_BYTES = 32 * 2**10
"""Bodies up to this size are converted in the event loop, larger ones in a thread."""


class ScoreEndpoint:
    """An ASGI application for one path."""

    def __init__(
        self,
        limits: Limits,
        launcher: Launcher,
        scoring: Scoring,
        metrics: Metrics,
        bodies: BodyReader,
    ) -> None:
        self._limits, self._launcher = limits, launcher
        self._scoring, self._metrics = scoring, metrics
        self._bodies = bodies
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        answer = await guarded(self._answer(dict(scope["headers"]), receive), self._limits.seconds)
        seconds = time.perf_counter() - started
        await answer(scope, receive, send)
        # uvloop writes what was sent before its next turn, so the client does not wait for this
        loop = asyncio.get_running_loop()
        loop.call_soon(self._metrics.answered, answer.status_code, seconds)

    async def _answer(self, headers: Mapping[bytes, bytes], receive: Receive) -> Response:
        scores, in_arrow = await self._scores(headers, receive)
        self._metrics.rows.inc(len(scores.probability_B))
        return answers.scored(scores, in_arrow)

    async def _scores(
        self, headers: Mapping[bytes, bytes], receive: Receive
    ) -> tuple[Scores, bool]:
        """The scores of a request's rows, and whether the answer is Arrow."""
        if not await self._launcher.becomes_ready():
            raise Refused.busy("The server is not ready: it starts, or restarts.")
        kind = _text(headers, b"content-type", JSON).partition(";")[0].strip().lower()
        if kind not in (JSON, MEDIA_TYPE):
            raise Refused(415, f"Content-Type: wanted {JSON} or {MEDIA_TYPE}, got {kind[:80]!r}.")
        with self._bodies.held() as held:
            body = await self._bodies.read(headers, receive, held)
            at_once = len(body) <= AT_ONCE_BYTES
            with self._place():
                rows = await self._rows(body, kind, at_once)
                scores = await self._scoring.score(rows, at_once=at_once)
        return scores, answers.wants_arrow(_text(headers, b"accept", ""), kind)

    @contextmanager
    def _place(self) -> Iterator[None]:
        """One of the places for requests in flight."""
        if self._in_flight >= self._limits.in_flight:
            raise Refused.busy(f"The gateway has {self._in_flight} requests in flight.")
        self._in_flight += 1
        self._metrics.in_flight.set(self._in_flight)
        try:
            yield
        finally:
            self._in_flight -= 1
            self._metrics.in_flight.set(self._in_flight)

    async def _rows(self, body: bytes, kind: str, at_once: bool) -> Any:
        limits = self._limits

        def read() -> Any:
            if kind == MEDIA_TYPE:
                return table_of_arrow(body, limits.rows, limits.body_bytes)
            return rows_of_json(body, limits.rows)

        return read() if at_once else await asyncio.to_thread(read)


def _text(headers: Mapping[bytes, bytes], name: bytes, otherwise: str) -> str:
    value = headers.get(name)
    return otherwise if value is None else value.decode("latin-1")
