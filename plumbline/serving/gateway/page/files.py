"""The page's files. They hold nothing of the model, so they are open to everybody."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

FOLDER = Path(__file__).parent / "static"
PAGE = "/"
FILES = "/page/"

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def is_page_file(path: str) -> bool:
    """Whether a path is that of the page or of one of its files."""
    return path == PAGE or path.startswith(FILES)


async def page(_: Request) -> Response:
    """The page itself."""
    return _file("index.html")


async def file(request: Request) -> Response:
    """A file that the page loads."""
    return _file(request.path_params["name"])


def _file(name: str) -> Response:
    content = _contents().get(name)
    if content is None:
        return Response(status_code=404, headers=_HEADERS)
    return Response(content, media_type=_TYPES[Path(name).suffix], headers=_HEADERS)


@cache
def _contents() -> dict[str, bytes]:
    """All files by name, read when the page is first asked for."""
    return {one.name: one.read_bytes() for one in FOLDER.iterdir() if one.suffix in _TYPES}
