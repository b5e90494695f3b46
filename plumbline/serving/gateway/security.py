"""A bearer secret, for every request but those for health and for the page's files."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

HEALTH = "/health/"

_UNAUTHORIZED = JSONResponse(
    {"error": "Wanted the header 'Authorization: Bearer SECRET' with the server's secret."},
    status_code=401,
    headers={"WWW-Authenticate": "Bearer", "Connection": "close"},
)


class BearerSecret:
    """Answers 401 to a request without the secret, before its body is read.

    `is_open` says for which paths no secret is needed.
    """

    def __init__(self, app: ASGIApp, secret: str, is_open: Callable[[str], bool]) -> None:
        self._app, self._is_open = app, is_open
        self._wanted = f"Bearer {secret}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].startswith(HEALTH):
            given = Headers(scope=scope).get("authorization", "").encode("latin-1")
            if not hmac.compare_digest(given, self._wanted) and not self._is_open(scope["path"]):
                await _UNAUTHORIZED(scope, receive, send)
                return
        await self._app(scope, receive, send)
