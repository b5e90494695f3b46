"""What the page asks the gateway besides scores.

| request | answer |
|---|---|
| `GET /`, `GET /page/FILE` | the page and its files, without secret |
| `GET /v1/page/columns` | the columns, with values and points to begin with, and limits |
| `GET /v1/page/values?column=C&prefix=P` | frequent values of a column that begin with a text |
| `POST /v1/page/explain` | the ids and numbers that the plan makes of rows |
| `POST /v1/page/rows` | the rows of a pasted text, and which of them the model refuses |
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from plumbline.serving.client.core import ServedModel
from plumbline.serving.gateway.answers import JSON
from plumbline.serving.gateway.body import BodyReader
from plumbline.serving.gateway.errors import Refused
from plumbline.serving.gateway.guarded import guarded
from plumbline.serving.gateway.json_rows import rows_of_json
from plumbline.serving.gateway.page import files
from plumbline.serving.gateway.page.explained import explained, unseen_values
from plumbline.serving.gateway.page.offered import SEARCHED
from plumbline.serving.gateway.page.pasted import CSV, MOST_ROWS, pasted_rows, refused_rows
from plumbline.serving.gateway.page.served_plan import ServedPlan, ServedPlans
from plumbline.serving.gateway.scoring import Scoring
from plumbline.serving.gateway.settings import Limits

PLACES = 8
"""Requests of the page that are worked on at a time."""
_LONGEST_PREFIX = 200

Work = Callable[[Request, bytes], Awaitable[dict[str, Any]]]
"""Answers a request with this body in JSON."""


class PageEndpoints:
    """The page's routes. Its requests share one thread, so that scores do not wait for them."""

    def __init__(
        self, repository: Path, limits: Limits, scoring: Scoring, bodies: BodyReader
    ) -> None:
        self._limits, self._scoring, self._bodies = limits, scoring, bodies
        self._plans = ServedPlans(repository)
        self._thread = ThreadPoolExecutor(1, "page")
        self._in_flight = 0

    def routes(self) -> list[Route]:
        return [
            Route(files.PAGE, files.page),
            Route(f"{files.FILES}{{name}}", files.file),
            Route("/v1/page/columns", self._answers(self._columns)),
            Route("/v1/page/values", self._answers(self._values)),
            Route("/v1/page/explain", self._answers(self._explain, JSON), methods=["POST"]),
            Route("/v1/page/rows", self._answers(self._rows, JSON, CSV), methods=["POST"]),
        ]

    def _answers(self, work: Work, *types: str) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint of some work; `types` are the content types of its body, if it has one."""

        async def answer(request: Request) -> Response:
            return await guarded(self._done(work, request, types), self._limits.seconds)

        return answer

    async def _done(self, work: Work, request: Request, types: Sequence[str]) -> Response:
        got = _content_type(request)
        if types and got not in types:
            raise Refused(415, f"Content-Type: wanted {' or '.join(types)}, got {got[:80]!r}.")
        headers = dict(request.scope["headers"])
        with self._bodies.held() as held:
            body = await self._bodies.read(headers, request.receive, held) if types else b""
            with self._place():
                content = await work(request, body)
        # In ASCII: a pasted text may have halves of characters, which UTF-8 cannot hold.
        return Response(json.dumps(content, allow_nan=False), media_type=JSON)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self._in_flight >= PLACES:
            raise Refused.busy(f"The gateway has {self._in_flight} requests of pages in flight.")
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    async def _columns(self, _: Request, __: bytes) -> dict[str, Any]:
        opened = await self._opened()

        def told() -> list[dict[str, Any]]:
            offered = opened.offered
            values, points = offered.most_frequent(), opened.points()
            unseen = unseen_values(opened)
            return [
                {
                    "name": name,
                    "kind": kind,
                    "known": offered.size(name),
                    "searched": SEARCHED,
                    "values": values.get(name, []),
                    "points": points.get(name, []),
                    "unseen": unseen.get(name),
                }
                for name, kind in opened.served.kinds.items()
            ]

        limits = {
            "rows": min(self._limits.rows, MOST_ROWS),
            "pasted_rows": MOST_ROWS,
            "body_bytes": self._limits.body_bytes,
        }
        return {**_version(opened.served), "limits": limits, "columns": await self._in_thread(told)}

    async def _values(self, request: Request, _: bytes) -> dict[str, Any]:
        column = request.query_params.get("column", "")
        prefix = request.query_params.get("prefix", "")
        served = self._served()
        if column not in served.kinds:
            raise Refused(
                400, f"column: wanted one of {', '.join(served.kinds)[:300]}, got {column[:100]!r}."
            )
        if len(prefix) > _LONGEST_PREFIX:
            raise Refused(400, f"prefix: wanted at most {_LONGEST_PREFIX} characters.")
        opened = await self._opened()
        found = await self._in_thread(lambda: opened.offered.starting_with(column, prefix))
        return {**_version(opened.served), "values": found.values, "more": found.more}

    async def _explain(self, _: Request, body: bytes) -> dict[str, Any]:
        opened = await self._opened()
        most = min(self._limits.rows, MOST_ROWS)
        told = await self._in_thread(lambda: explained(opened, rows_of_json(body, most)))
        return {**_version(opened.served), "outputs": told}

    async def _rows(self, request: Request, body: bytes) -> dict[str, Any]:
        is_csv = _content_type(request) == CSV
        served = self._served()

        def read() -> dict[str, Any]:
            rows = pasted_rows(body, is_csv, served)
            return {"rows": rows, "refused": refused_rows(rows, served)}

        return {**_version(served), **await self._in_thread(read)}

    def _served(self) -> ServedModel:
        served = self._scoring.served
        if served is None:
            raise Refused.busy("The model is not loaded yet.")
        return served

    async def _opened(self) -> ServedPlan:
        return await self._plans.of(self._served())

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _version(served: ServedModel) -> dict[str, str]:
    return {"model": served.name, "version": served.version}


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
