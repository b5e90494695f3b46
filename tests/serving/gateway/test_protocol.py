"""A connection ends if its client takes too much memory or time, and only then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from plumbline.serving.gateway import protocol
from plumbline.serving.gateway.protocol import HEAD_BYTES, MOST_PIPELINED, LimitedProtocol

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Transport(asyncio.Transport):
    """Keeps what is written, and how it was ended."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.ended = ""

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.ended = self.ended or "closed"

    def abort(self) -> None:
        self.ended = self.ended or "aborted"

    def is_closing(self) -> bool:
        return bool(self.ended)

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def hang(scope: Any, receive: Any, send: Any) -> None:
    """An application that never answers."""
    await asyncio.Event().wait()


async def answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


def connect(app: Any) -> tuple[LimitedProtocol, Transport]:
    connection = LimitedProtocol(uvicorn.Config(app), ServerState(), {})
    transport = Transport()
    connection.connection_made(transport)
    return connection, transport


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 20.0))  # type: ignore[arg-type]


def test_requests_one_after_the_other_are_answered() -> None:
    async def test() -> None:
        connection, transport = connect(answer)
        for _ in range(3):
            connection.data_received(REQUEST)
            await asyncio.sleep(0.01)
        assert transport.written.count(b"done") == 3
        assert not transport.ended

    run(test)


@pytest.mark.parametrize(
    "piece",
    [b"A: " + b"b" * 1000 + b"\r\n", b"A: b\r\n", b"c" * 1000],
    ids=["headers", "short", "one"],
)
def test_a_large_head_is_refused_while_it_arrives(piece: bytes) -> None:
    async def test() -> None:
        connection, transport = connect(answer)
        connection.data_received(b"GET / HTTP/1.1\r\nX: ")
        sent = 0
        while not transport.ended:
            connection.data_received(piece)
            sent += len(piece)
            assert sent < HEAD_BYTES + 2 * len(piece) + 100
        assert transport.written.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))

    run(test)


@pytest.mark.parametrize("content", [b"", b"GET / HT", REQUEST + b"GET / HTTP/1.1\r\nA"])
def test_a_head_that_does_not_end_ends_the_connection(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.1)

    async def test() -> None:
        connection, transport = connect(answer)
        if content:
            connection.data_received(content)
        await asyncio.sleep(0.05)
        assert not transport.ended
        await asyncio.sleep(0.2)
        assert transport.ended == "closed"

    run(test)


def test_a_client_that_does_not_wait_for_answers_is_cut_off() -> None:
    async def test() -> None:
        connection, transport = connect(hang)
        connection.data_received(REQUEST * (MOST_PIPELINED + 1))
        assert not transport.ended
        connection.data_received(REQUEST)
        assert transport.ended == "aborted"

    run(test)


def test_a_client_that_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "READ_SECONDS", 0.1)

    async def test() -> None:
        connection, transport = connect(answer)
        connection.pause_writing()
        connection.resume_writing()
        await asyncio.sleep(0.15)
        assert not transport.ended
        connection.pause_writing()
        await asyncio.sleep(0.15)
        assert transport.ended == "aborted"

    run(test)


def test_more_connections_than_allowed_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MOST_CONNECTIONS", 2)

    async def test() -> None:
        state, ended = ServerState(), []
        for _ in range(3):
            connection, transport = LimitedProtocol(uvicorn.Config(answer), state, {}), Transport()
            connection.connection_made(transport)
            ended.append(transport.ended)
        assert ended == ["", "", "aborted"]

    run(test)
