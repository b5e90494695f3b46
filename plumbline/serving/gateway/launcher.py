"""The gateway's view of its launcher, which sends its state as a heartbeat."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

from plumbline.serving.gateway.settings import HEARTBEAT_SECONDS, LauncherState

_SILENT_SECONDS = 5 * HEARTBEAT_SECONDS
"""A launcher that is silent for so long is stalled or dead."""
PATIENCE_SECONDS = 0.25
"""How long a request waits for a server that is not ready. A client that tries again at once then
does so four times a second, and leaves the processor to the server that starts."""


class Launcher:
    """The last state that the launcher sent, and whether it still sends."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._state = LauncherState()
        self._heard = clock()
        self._ready = asyncio.Event()

    @property
    def is_alive(self) -> bool:
        return self._clock() - self._heard < _SILENT_SECONDS

    @property
    def is_ready(self) -> bool:
        """Whether the server's models answered rightly when they were last checked."""
        return self._state.ready and self.is_alive

    async def becomes_ready(self) -> bool:
        """Whether it is ready, now or after the patience of a request."""
        if not self.is_ready:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._ready.wait(), PATIENCE_SECONDS)
        return self.is_ready

    @property
    def state(self) -> LauncherState:
        return self._state

    def say(self, line: bytes) -> None:
        """Take over a line that the launcher sent."""
        self._state = LauncherState.from_line(line)
        self._heard = self._clock()
        if self._state.ready:
            self._ready.set()
        else:
            self._ready.clear()

    async def listen(self, source: BinaryIO, at_end: Callable[[], None]) -> None:
        """Take over lines until the launcher ends; then call `at_end`."""
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), source
        )
        while line := await reader.readline():
            self.say(line)
        at_end()
