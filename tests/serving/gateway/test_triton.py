"""One request to Triton over HTTP: whatever answers, the gateway's request ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from plumbline.serving.client.connection import Connection
from plumbline.serving.errors import RequestRefused, ServerError, ServerUnavailable
from plumbline.serving.gateway.triton import Triton

SCORES = np.array([0.25, 0.5], np.float32)
HEAD = b"HTTP/1.1 200 OK\r\nInference-Header-Content-Length: 2\r\n"
WHOLE = HEAD + b"Content-Length: 10\r\n\r\n{}" + SCORES.tobytes()
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\na\r\n{}" + SCORES.tobytes() + b"\r\n0\r\n\r\n"
REFUSED = b'HTTP/1.1 400 Bad Request\r\nContent-Length: 15\r\n\r\n{"error": "no"}'

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


async def ask(answer: Answer, requests: int = 1) -> tuple[list[np.ndarray], int]:
    """The scores of some requests one after the other, and the number of connections."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while head := await reader.readuntil(b"\r\n\r\n"):
            size = int(head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(size)
            await answer(writer)
            if writer.is_closing():
                return

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    triton = Triton(Connection(f"{host}:{port}", "http", 5.0))
    try:
        rows = {"a": np.zeros((2, 1), np.float32)}
        got = [await triton.scores("ctr", "1", rows) for _ in range(requests)]
        return got, connections
    finally:
        triton.close()
        server.close()


def written(content: bytes, *, piece: int = 2**20, closes: bool = False) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        for start in range(0, len(content), piece):
            writer.write(content[start : start + piece])
            await writer.drain()
            await asyncio.sleep(0)
        if closes:
            writer.close()

    return answer


@pytest.mark.parametrize("content", [WHOLE, CHUNKED, WHOLE.replace(b"Inf", b"iNF")])
@pytest.mark.parametrize("piece", [1, 7, 2**20])
def test_a_connection_gives_the_scores_of_one_request_after_another(
    content: bytes, piece: int
) -> None:
    got, connections = asyncio.run(ask(written(content, piece=piece), requests=3))
    assert np.array_equal(got, [SCORES] * 3)
    assert connections == 1


def test_a_connection_that_the_server_closed_is_opened_again() -> None:
    got, connections = asyncio.run(ask(written(WHOLE, closes=True), requests=2))
    assert np.array_equal(got, [SCORES] * 2)
    assert connections == 2


@pytest.mark.parametrize(
    ("content", "closes", "kind", "message"),
    [
        (REFUSED, False, RequestRefused, "no"),
        (REFUSED.replace(b"400", b"500"), False, ServerError, "no"),
        (WHOLE.replace(b"200", b"503"), False, ServerError, "status 503 that cannot be read"),
        (WHOLE.replace(b"Inference", b"Another"), False, ServerError, "status 200 that cannot"),
        (WHOLE.replace(b"th: 2", b"th: x"), False, ServerError, "wanted an answer of HTTP"),
        (b"SSH-2.0\r\n", False, ServerError, "wanted an answer of HTTP"),
        (WHOLE[:-1], True, ServerUnavailable, "cannot be reached"),
        (b"", True, ServerUnavailable, "cannot be reached"),
    ],
)
def test_another_answer_is_an_error(
    content: bytes, closes: bool, kind: type[ServerError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        asyncio.run(asyncio.wait_for(ask(written(content, closes=closes)), 5.0))
