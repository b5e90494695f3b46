"""Requests that wait inside a step while it cannot keep up, and what is refused of them.

Triton's own limits of a queue are left alone: with them its batcher sleeps through requests that
come while the step is busy, up to half a second each (docs/decisions/0017). So long as a step keeps
up it answers at once, and nothing waits here. When it has been busy nearly all the time, it takes
the requests over from Triton as they come, and a thread answers them in order: what would wait for
longer than its time-out, or finds the line full, is refused.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

BUSY = 0.85
"""From this share of the time on, a step is behind."""
WINDOW_SECONDS = 0.1
CALL_SECONDS = 1e-4
"""About what Triton needs to hand over one request to a step that it does not batch for."""

FULL = "The server is busy: {limit} requests wait for this model already. Send it again later."
LATE = "The server is busy: the request waited for its time-out of {timeout:g} s. Send it later."

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Limits:
    """Of what waits for one instance of a step."""

    requests: int
    seconds: float
    """A request may ask for less."""
    rows: int
    """Answered in one pass."""
    call_seconds: float = 0.0
    """What Triton needs to hand a pass over, where the passes are too short to neglect it."""


@dataclass(frozen=True, slots=True)
class Waiting(Generic[R]):
    """A request, its number of rows, and the seconds it may wait; 0 stands for the limit."""

    request: R
    rows: int
    seconds: float = 0.0


class BusyShare:
    """The share of the time that a step was at work, over the last whole window."""

    def __init__(self, call_seconds: float = 0.0) -> None:
        self._call_seconds = call_seconds
        self._share = self._busy = self._begin = 0.0

    def note(self, started: float, ended: float) -> None:
        self._busy += ended - started + self._call_seconds
        span = ended - self._begin
        if span >= WINDOW_SECONDS:
            self._share = self._busy / span
            self._begin, self._busy = ended, 0.0

    def is_high(self, now: float) -> bool:
        """A window that nothing was noted in for long says that the step is idle."""
        return self._share >= BUSY and now - self._begin < 2 * WINDOW_SECONDS


class WaitingLine(Generic[R]):
    """The line of one instance; `execute` calls it from one thread.

    Parameters
    ----------
    answer
        Answers requests in one pass; called from the line's own thread.
    refuse
        Tells a request's sender why it is not answered.
    """

    def __init__(
        self,
        limits: Limits,
        answer: Callable[[list[R]], None],
        refuse: Callable[[R, str], None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._limits, self._answer, self._refuse, self._clock = limits, answer, refuse, clock
        self._share = BusyShare(limits.call_seconds)
        self._line: deque[tuple[Waiting[R], float]] = deque()
        """With the time at which each is too late."""
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._works = self._is_closed = False
        self._pass_seconds = 0.0

    def takes_over(self, now: float) -> bool:
        """Whether requests that come now have to go to `put`."""
        return self._works or self._share.is_high(now)

    def answered(self, started: float, ended: float) -> None:
        """Note a pass that `execute` did itself."""
        self._share.note(started, ended)

    def put(self, requests: Iterable[Waiting[R]]) -> None:
        """Let requests wait; those that find the line full are refused."""
        now, full = self._clock(), []
        with self._changed:
            for waiting in requests:
                if len(self._line) >= self._limits.requests:
                    full.append(waiting.request)
                    continue
                self._line.append((waiting, now + self._seconds(waiting)))
                self._works = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, daemon=True)
                self._thread.start()
            self._changed.notify()
        for request in full:
            self._refuse(request, FULL.format(limit=self._limits.requests))

    def close(self) -> None:
        """Answer what waits, and end the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _seconds(self, waiting: Waiting[R]) -> float:
        limit = self._limits.seconds
        return min(limit, waiting.seconds) if waiting.seconds else limit

    def _serve(self) -> None:
        while True:
            with self._changed:
                while not self._line:
                    self._works = False
                    if self._is_closed:
                        return
                    self._changed.wait()
                chosen, late = self._take(self._clock())
            for waiting in late:
                self._refuse(waiting.request, LATE.format(timeout=self._seconds(waiting)))
            if chosen:
                started = self._clock()
                self._answer(chosen)
                ended = self._clock()
                self._share.note(started, ended)
                self._pass_seconds = ended - started

    def _take(self, now: float) -> tuple[list[R], list[Waiting[R]]]:
        """The requests of the next pass, and those that are or will then be too late."""
        chosen: list[R] = []
        late: list[Waiting[R]] = []
        rows, line = 0, self._line
        while line and (not chosen or rows + line[0][0].rows <= self._limits.rows):
            waiting, until = line.popleft()
            if until < now:
                late.append(waiting)
                continue
            chosen.append(waiting.request)
            rows += waiting.rows
        while line and line[0][1] < now + self._pass_seconds:
            late.append(line.popleft()[0])
        return chosen, late
