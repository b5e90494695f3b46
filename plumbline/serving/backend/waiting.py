"""The queue of a model that cannot keep up with its requests, and which of them are rejected.

Triton's own queue limits are not used: with them its batcher sleeps through requests that arrive
while the model is busy, up to half a second each (docs/decisions/0017). As long as a model keeps
up, it answers at once and nothing waits here. If it has been busy nearly all the time, it takes
requests over from Triton as they arrive, and a thread answers them in order. A request that would
wait longer than its time-out, or that finds the queue full, is rejected.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

BUSY = 0.85
"""If a model is busy for this share of the time, it is behind."""
WINDOW_SECONDS = 0.1
CALL_SECONDS = 1e-4
"""About what Triton needs to pass one request to a model for which it does not batch."""

FULL = "The server is busy: {limit} requests wait for this model already. Send it again later."
LATE = "The server is busy: the request waited for its time-out of {timeout:g} s. Send it later."

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one instance's queue."""

    requests: int
    seconds: float
    """The longest wait; a request may set a shorter one."""
    rows: int
    """The most rows that are answered in one pass."""
    call_seconds: float = 0.0
    """What Triton needs to pass the requests, if the passes are too short to neglect it."""


@dataclass(frozen=True, slots=True)
class Waiting(Generic[R]):
    """A request, its number of rows, and the seconds it may wait; 0 means the limit."""

    request: R
    rows: int
    seconds: float = 0.0


class BusyShare:
    """The share of the time for which a model was busy, over the last whole window."""

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
        """If nothing was noted for a while, the model is idle."""
        return self._share >= BUSY and now - self._begin < 2 * WINDOW_SECONDS


class WaitingLine(Generic[R]):
    """The queue of one instance; `execute` calls it from one thread.

    Parameters
    ----------
    answer
        Answers requests in one pass; called from the queue's own thread.
    reject
        Sends the reason why a request is not answered.
    """

    def __init__(
        self,
        limits: Limits,
        answer: Callable[[list[R]], None],
        reject: Callable[[R, str], None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._limits, self._answer, self._reject, self._clock = limits, answer, reject, clock
        self._share = BusyShare(limits.call_seconds)
        self._line: deque[tuple[Waiting[R], float]] = deque()
        """With the time at which each times out."""
        self._soonest = math.inf
        """The first of these times, or an earlier one."""
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._works = self._is_closed = False
        self._pass_seconds = 0.0

    def takes_over(self, now: float) -> bool:
        """Whether requests that arrive now have to go to `put`."""
        return self._works or self._share.is_high(now)

    def answered(self, started: float, ended: float) -> None:
        """Note a pass that `execute` did itself."""
        self._share.note(started, ended)

    def put(self, requests: Iterable[Waiting[R]]) -> None:
        """Queue requests; those that find the queue full are rejected."""
        now, full = self._clock(), []
        with self._changed:
            for waiting in requests:
                if len(self._line) >= self._limits.requests:
                    full.append(waiting.request)
                    continue
                until = now + self._seconds(waiting)
                self._line.append((waiting, until))
                self._soonest = min(self._soonest, until)
                self._works = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, daemon=True)
                self._thread.start()
            self._changed.notify()
        for request in full:
            self._reject(request, FULL.format(limit=self._limits.requests))

    def close(self) -> None:
        """Answer the queued requests, and end the thread."""
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
                self._reject(waiting.request, LATE.format(timeout=self._seconds(waiting)))
            if chosen:
                started = self._clock()
                self._answer(chosen)
                ended = self._clock()
                self._share.note(started, ended)
                self._pass_seconds = ended - started

    def _take(self, now: float) -> tuple[list[R], list[Waiting[R]]]:
        """The requests of the next pass, and those that have timed out or will by its end."""
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
        return chosen, late + self._remove_late(now + self._pass_seconds)

    def _remove_late(self, end: float) -> list[Waiting[R]]:
        """Remove the requests that time out before the end, wherever they are in the queue."""
        if end <= self._soonest:
            return []
        late = [waiting for waiting, until in self._line if until < end]
        if late:
            self._line = deque(entry for entry in self._line if entry[1] >= end)
        self._soonest = min((until for _, until in self._line), default=math.inf)
        return late
