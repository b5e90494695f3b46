"""When a request is repeated, and how long to wait before.

Scoring changes nothing on the server, so repeating it is safe. It helps only where the server was
not reached or had no room (ServerUnavailable): any other error would come again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from plumbline.serving.errors import ServerError, ServerUnavailable


@dataclass(frozen=True, slots=True)
class Retries:
    """Exponential back-off with jitter, so that clients turned away together do not return so.

    Parameters
    ----------
    attempts
        How often a request is sent at most.
    first_delay_seconds, factor, longest_delay_seconds
        The wait before the second attempt, how much longer each further wait is, and up to where.
    jitter
        The share of a wait that is drawn at random, 0 to 1.
    total_seconds
        No attempt begins later than this after the first.
    """

    attempts: int = 3
    first_delay_seconds: float = 0.1
    factor: float = 3.0
    longest_delay_seconds: float = 5.0
    jitter: float = 0.5
    total_seconds: float = 30.0

    def __post_init__(self) -> None:
        limits = (
            ("attempts", self.attempts >= 1, "at least 1"),
            ("first_delay_seconds", self.first_delay_seconds >= 0.0, "0 or more"),
            ("factor", self.factor >= 1.0, "at least 1"),
            ("longest_delay_seconds", self.longest_delay_seconds >= 0.0, "0 or more"),
            ("jitter", 0.0 <= self.jitter <= 1.0, "0 to 1"),
            ("total_seconds", self.total_seconds >= 0.0, "0 or more"),
        )
        for name, fits, wanted in limits:
            if not fits:
                came = getattr(self, name)
                raise ServerError(f"Retries: {name} wanted {wanted}, got {came!r}.")


USUAL = Retries()
NEVER = Retries(attempts=1)


class Attempts:
    """Counts the attempts of one request."""

    def __init__(
        self,
        retries: Retries,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._retries, self._clock, self._draw = retries, clock, draw
        self._start = clock()
        self._made = 0

    def wait_after(self, error: ServerUnavailable) -> float:
        """Seconds to wait before the next attempt.

        Raises
        ------
        ServerUnavailable
            The attempts or the time are used up: how many there were, and the last one's error.
        """
        self._made += 1
        grown = self._retries.first_delay_seconds * self._retries.factor ** (self._made - 1)
        longest = min(grown, self._retries.longest_delay_seconds)
        wait = longest * (1.0 - self._retries.jitter * self._draw())
        passed = self._clock() - self._start
        if self._made >= self._retries.attempts or passed + wait > self._retries.total_seconds:
            if self._made == 1:
                raise error
            raise ServerUnavailable(f"{error} ({self._made} attempts in {passed:.1f} s)") from None
        return wait
