"""Peak memory of a block of work, worker processes included."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

SECONDS = 0.25
"""Between two samples, each of which takes 2 to 3 ms."""


class PeakMemory:
    """`megabytes` (10⁶ bytes) is the highest resident size seen, sampled four times a second."""

    def __init__(self) -> None:
        # Imported here because the server's image, whose commands import the stages, has it not.
        import psutil

        self.megabytes = 0.0
        self._process = psutil.Process()
        self._ended = psutil.NoSuchProcess

    def sample(self) -> None:
        total = 0
        for process in [self._process, *self._process.children(recursive=True)]:
            with suppress(self._ended):
                total += process.memory_info().rss
        self.megabytes = max(self.megabytes, round(total / 1e6, 1))


@contextmanager
def peak_memory() -> Iterator[PeakMemory]:
    """Sample this process and its children while the block runs."""
    peak, done = PeakMemory(), threading.Event()

    def watch() -> None:
        while not done.wait(SECONDS):
            peak.sample()

    watcher = threading.Thread(target=watch, daemon=True)
    peak.sample()
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()
        peak.sample()
