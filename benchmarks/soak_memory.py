"""The memory of a server and of its Python processes, from /proc.

A page shared by several processes counts once (proportional set size).
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from threading import Event, Thread
from types import TracebackType

import psutil

_PART = re.compile(r"^(Pss_Anon|Pss_Shmem|Pss_File): +(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Memory:
    """In MB, of all processes together."""

    seconds: float
    """Time since the first sample."""
    own: float
    """Allocated memory, and memory shared between the processes: what can leak."""
    mapped: float
    """Resident pages of mapped files: vocabularies, weights, programs. It rises until all are
    touched, and the system may reclaim them."""
    processes: int


class MemoryWatch:
    """Samples the memory of this process' children, including a server, until the context ends."""

    def __init__(self, seconds_between: float) -> None:
        self.samples: list[Memory] = []
        self._seconds_between = seconds_between
        self._end = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        begin = time.monotonic()
        ended = False
        while not ended:
            self.samples.append(memory_of_children(time.monotonic() - begin))
            ended = self._end.wait(self._seconds_between)

    def growth(self, settled: float, seconds: float) -> float:
        """Relative growth of `own`: its median over the last minute of `seconds` against the median
        over the minute after `settled`; shorter runs use shorter spans."""
        span = min(60.0, (seconds - settled) / 2)
        early = [s.own for s in self.samples if settled <= s.seconds < settled + span]
        late = [s.own for s in self.samples if s.seconds >= seconds - span]
        return median(late) / median(early) - 1.0


def memory_of_children(seconds: float) -> Memory:
    total = dict.fromkeys(("Pss_Anon", "Pss_Shmem", "Pss_File"), 0.0)
    processes = 0
    for child in psutil.Process(os.getpid()).children(recursive=True):
        try:
            text = Path(f"/proc/{child.pid}/smaps_rollup").read_text(encoding="ascii")
        except OSError:  # it has ended or is ending
            continue
        processes += 1
        for part, kilobytes in _PART.findall(text):
            total[part] += int(kilobytes) / 1024
    return Memory(seconds, total["Pss_Anon"] + total["Pss_Shmem"], total["Pss_File"], processes)
