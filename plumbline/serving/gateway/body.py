"""Read a request's body within limits: of its own size, of its time, and of all bodies together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from starlette.types import Receive

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

    async def read(self, headers: Mapping[bytes, bytes], receive: Receive, held: Held) -> bytes:
        """The body.

        Raises
        ------
        Refused
            It is too large or encoded, all bodies together are too large, or the client is gone.
        """
        encoding = headers.get(b"content-encoding", b"identity")
        if encoding != b"identity":
            raise Refused(415, f"Content-Encoding {encoding[:40]!r}: wanted a plain body.")
        announced = headers.get(b"content-length", b"0")
        if len(announced) > 18 or int(announced) > self._most:
            raise self._too_large()
        chunks, more = [], True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refused(400, "The client ended the connection inside the body.")
            chunk = message.get("body", b"")
            more = message.get("more_body", False)
            held.bytes += len(chunk)
            self._all += len(chunk)
            if held.bytes > self._most:
                raise self._too_large()
            if self._all > BODIES_IN_MEMORY * self._most:
                raise Refused.busy("The gateway holds as many bytes of requests as it may.")
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _too_large(self) -> Refused:
        return Refused(
            413, f"Body: wanted at most {self._most:,} bytes. Send the rows in several requests."
        )


class Held:
    """Bytes of one body that are in memory."""

    def __init__(self) -> None:
        self.bytes = 0
