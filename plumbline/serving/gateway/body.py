"""Read a request's body within limits: of its own size, of its time, and of all bodies together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect, Request

from plumbline.serving.gateway.errors import Refused

BODIES_IN_MEMORY = 8
"""All bodies together may take so many times the largest one."""


class BodyReader:
    """Reads bodies of at most `most` bytes each."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._all = 0

    @contextmanager
    def held(self) -> Iterator[Held]:
        """Inside the block, bytes that are read count as held."""
        held = Held()
        try:
            yield held
        finally:
            self._all -= held.bytes

    async def read(self, request: Request, held: Held) -> bytes:
        """The body.

        Raises
        ------
        Refused
            It is too large or encoded, all bodies together are too large, or the client is gone.
        """
        encoding = request.headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise Refused(415, f"Content-Encoding {encoding[:40]!r}: wanted a plain body.")
        announced = request.headers.get("content-length", "0")
        if len(announced) > 18 or int(announced) > self._most:
            raise self._too_large()
        chunks = []
        try:
            async for chunk in request.stream():
                held.bytes += len(chunk)
                self._all += len(chunk)
                if held.bytes > self._most:
                    raise self._too_large()
                if self._all > BODIES_IN_MEMORY * self._most:
                    raise Refused.busy("The gateway holds as many bytes of requests as it may.")
                chunks.append(chunk)
        except ClientDisconnect:
            raise Refused(400, "The client ended the connection inside the body.") from None
        return b"".join(chunks)

    def _too_large(self) -> Refused:
        return Refused(
            413, f"Body: wanted at most {self._most:,} bytes. Send the rows in several requests."
        )


class Held:
    """Bytes of one body that are in memory."""

    def __init__(self) -> None:
        self.bytes = 0
