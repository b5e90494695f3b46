"""The gateway: rows by column name in, click probabilities out, for clients that are not trusted.

| request | answer |
|---|---|
| `POST /v1/score` | the click probabilities of rows, in JSON or Arrow |
| `GET /v1/model` | the model's columns, kinds, version and hashes, and the limits |
| `GET /health/live`, `/health/ready` | 200 or 503 |
| `GET /metrics` | Prometheus' text |
| `GET /openapi.json`, `/docs` | this interface |
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from plumbline.base.errors import PlanError
from plumbline.serving.client.core import ServedModel
from plumbline.serving.errors import ServerError
from plumbline.serving.gateway import answers
from plumbline.serving.gateway.arrow_rows import MEDIA_TYPE, table_of_arrow
from plumbline.serving.gateway.body import BodyReader
from plumbline.serving.gateway.docs_page import docs_page
from plumbline.serving.gateway.errors import Refused
from plumbline.serving.gateway.json_rows import rows_of_json
from plumbline.serving.gateway.launcher import Launcher
from plumbline.serving.gateway.metrics import Metrics
from plumbline.serving.gateway.openapi import openapi
from plumbline.serving.gateway.scoring import Scores, Scoring
from plumbline.serving.gateway.security import BearerSecret
from plumbline.serving.gateway.settings import GatewaySettings
from plumbline.serving.gateway.triton_metrics import triton_metrics

AT_ONCE_BYTES = 32 * 2**10
"""Bodies up to this size are converted in the event loop, larger ones in a thread."""
JSON = "application/json"


class Gateway:
    """What the routes of one gateway process share."""

    def __init__(self, settings: GatewaySettings, launcher: Launcher) -> None:
        self._settings, self._launcher = settings, launcher
        self._limits = settings.limits
        self._bodies = BodyReader(settings.limits.body_bytes)
        self._scoring = Scoring(settings)
        self._metrics = Metrics(launcher)
        self._in_flight = 0

    def app(self) -> Starlette:
        secret = self._settings.secret
        return Starlette(
            routes=[
                Route("/v1/score", self.score, methods=["POST"]),
                Route("/v1/model", self.model),
                Route("/health/live", self.live),
                Route("/health/ready", self.ready),
                Route("/metrics", self.metrics),
                Route("/openapi.json", self.openapi),
                Route("/docs", self.docs),
            ],
            middleware=[] if secret is None else [Middleware(BearerSecret, secret=secret)],
            exception_handlers={HTTPException: answers.http_error, Exception: answers.bug},
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        refreshing = asyncio.create_task(self._scoring.keep_fresh())
        yield
        refreshing.cancel()
        with suppress(asyncio.CancelledError):
            await refreshing
        await self._scoring.close()

    async def score(self, request: Request) -> Response:
        started = time.perf_counter()
        try:
            with anyio.fail_after(self._limits.seconds):
                scores, in_arrow = await self._scores(request)
            self._metrics.rows.inc(len(scores.probability_B))
            answer = answers.scored(scores, in_arrow)
        except TimeoutError:
            answer = answers.failed(504, f"No answer within {self._limits.seconds:g} s.")
        except (PlanError, ServerError, Refused) as error:
            answer = answers.refused(error)
        self._metrics.answered(answer.status_code, time.perf_counter() - started)
        return answer

    async def _scores(self, request: Request) -> tuple[Scores, bool]:
        """The scores of a request's rows, and whether the answer is Arrow."""
        if not self._launcher.is_ready:
            raise Refused.busy("The server is not ready: it starts, or restarts.")
        kind = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
        if kind not in (JSON, MEDIA_TYPE):
            raise Refused(415, f"Content-Type: wanted {JSON} or {MEDIA_TYPE}, got {kind[:80]!r}.")
        with self._bodies.held() as held:
            body = await self._bodies.read(request, held)
            at_once = len(body) <= AT_ONCE_BYTES
            with self._place():
                rows = await self._rows(body, kind, at_once)
                scores = await self._scoring.score(rows, at_once=at_once)
        return scores, answers.wants_arrow(request.headers.get("accept", ""), kind)

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

    async def model(self, _: Request) -> Response:
        served, limits = self._served(), self._limits
        return JSONResponse(
            {
                "model": served.name,
                "version": served.version,
                "plan_hash": served.plan_hash,
                "model_hash": served.model_hash,
                "columns": [{"name": n, "kind": kind} for n, kind in served.kinds.items()],
                "limits": {"body_bytes": limits.body_bytes, "rows": limits.rows},
            }
        )

    async def live(self, _: Request) -> Response:
        """Whether gateway and launcher run. If not, this process should be started again."""
        return _health(self._launcher.is_alive, "The launcher is silent.")

    async def ready(self, _: Request) -> Response:
        """Whether requests for scores are answered now."""
        is_ready = self._launcher.is_ready and self._scoring.served is not None
        return _health(is_ready, "Not every model answers its check rows.")

    async def metrics(self, _: Request) -> Response:
        of_triton = await triton_metrics(self._settings.triton_metrics)
        return Response(self._metrics.text() + of_triton, media_type="text/plain; version=0.0.4")

    async def openapi(self, _: Request) -> Response:
        return JSONResponse(
            openapi(self._served(), self._limits, self._settings.secret is not None)
        )

    async def docs(self, _: Request) -> Response:
        return HTMLResponse(docs_page(self._served(), self._limits))

    def _served(self) -> ServedModel:
        served = self._scoring.served
        if served is None:
            raise HTTPException(503, "The model is not loaded yet")
        return served


def _health(is_well: bool, otherwise: str) -> Response:
    if is_well:
        return JSONResponse({"status": "ok"})
    return JSONResponse({"status": otherwise}, 503)
