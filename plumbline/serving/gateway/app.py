"""The gateway: rows by column name in, click probabilities out, for clients that are not trusted.

| request | answer |
|---|---|
| `POST /v1/score` | the click probabilities of rows, in JSON or Arrow |
| `GET /v1/model` | the model's columns, kinds, version and hashes, and the limits |
| `GET /health/live`, `/health/ready` | 200 or 503 |
| `GET /metrics` | Prometheus' text |
| `GET /openapi.json`, `/docs` | this interface |
| `GET /` | a page to try the model: `plumbline.serving.gateway.page.endpoints` |
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from plumbline.serving.client.core import ServedModel
from plumbline.serving.gateway import answers
from plumbline.serving.gateway.body import BodyReader
from plumbline.serving.gateway.docs_page import docs_page
from plumbline.serving.gateway.launcher import Launcher
from plumbline.serving.gateway.metrics import Metrics
from plumbline.serving.gateway.openapi import openapi
from plumbline.serving.gateway.page.endpoints import PageEndpoints
from plumbline.serving.gateway.page.files import is_page_file
from plumbline.serving.gateway.score_endpoint import ScoreEndpoint
from plumbline.serving.gateway.scoring import Scoring
from plumbline.serving.gateway.security import BearerSecret
from plumbline.serving.gateway.settings import GatewaySettings
from plumbline.serving.gateway.triton_metrics import triton_metrics

SCORE = "/v1/score"


class Gateway:
    """The ASGI application of one gateway process."""

    def __init__(self, settings: GatewaySettings, launcher: Launcher) -> None:
        self._settings, self._launcher = settings, launcher
        self._scoring = Scoring(settings)
        self._metrics = Metrics(launcher)
        bodies = BodyReader(settings.limits.body_bytes)
        self._score = ScoreEndpoint(settings.limits, launcher, self._scoring, self._metrics, bodies)
        self._others = Starlette(
            routes=[
                Route(SCORE, self._score, methods=["POST"]),
                Route("/v1/model", self.model),
                Route("/health/live", self.live),
                Route("/health/ready", self.ready),
                Route("/metrics", self.metrics),
                Route("/openapi.json", self.openapi),
                Route("/docs", self.docs),
                *self._page(bodies),
            ],
            exception_handlers={HTTPException: answers.http_error, Exception: answers.bug},
            lifespan=self._lifespan,
        )

    def app(self) -> ASGIApp:
        secret = self._settings.secret
        if secret is None:
            return self
        has_page = self._settings.repository is not None
        return BearerSecret(self, secret, is_page_file if has_page else lambda path: False)

    def _page(self, bodies: BodyReader) -> list[Route]:
        repository = self._settings.repository
        if repository is None:
            return []
        limits = self._settings.limits
        return PageEndpoints(Path(repository), limits, self._scoring, bodies).routes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Requests for scores take the short way: routing them would take as long as a score."""
        is_score = scope["type"] == "http" and scope["path"] == SCORE and scope["method"] == "POST"
        await (self._score if is_score else self._others)(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        refreshing = asyncio.create_task(self._scoring.keep_fresh())
        yield
        refreshing.cancel()
        with suppress(asyncio.CancelledError):
            await refreshing
        await self._scoring.close()

    async def model(self, _: Request) -> Response:
        served, limits = self._served(), self._settings.limits
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
            openapi(self._served(), self._settings.limits, self._settings.secret is not None)
        )

    async def docs(self, _: Request) -> Response:
        return HTMLResponse(docs_page(self._served(), self._settings.limits))

    def _served(self) -> ServedModel:
        served = self._scoring.served
        if served is None:
            raise HTTPException(503, "The model is not loaded yet")
        return served


def _health(is_well: bool, otherwise: str) -> Response:
    if is_well:
        return JSONResponse({"status": "ok"})
    return JSONResponse({"status": otherwise}, 503)
