"""Whether to retry a request, and the delay before that.

Scoring changes nothing on the server, so a request may safely be sent twice. That helps only if the
server could not be reached or was overloaded (ServerUnavailable); any other error would recur.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from plumbline.serving.errors import ServerError, ServerUnavailable


@dataclass(frozen=True, slots=True)
class Retries:
    """Exponential back-off with jitter, so that clients rejected together do not return together.

    Parameters
    ----------
    attempts
        The most times a request is sent.
    first_delay_seconds, factor, longest_delay_seconds
        The delay before the second attempt, the factor by which further delays grow, and their
        limit.
    jitter
        The random share of a delay, 0 to 1.
    total_seconds
        No attempt starts later than this after the first.
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
                got = getattr(self, name)
                raise ServerError(f"Retries: {name} wanted {wanted}, got {got!r}.")

    def delay(
        self,
        error: ServerUnavailable,
        attempts: int,
        passed_seconds: float,
        draw: Callable[[], float] = random.random,
    ) -> float:
        """Seconds to wait before the next attempt.

        Parameters
        ----------
        error
            The error of the last attempt.
        attempts
            The number of failed attempts.
        passed_seconds
            Time since the first attempt started.
        draw
            Returns a random number from 0 to 1.

        Raises
        ------
        ServerUnavailable
            No attempts or no time are left: `error`, with the number of attempts.
        """
        grown = self.first_delay_seconds * self.factor ** (attempts - 1)
        delay = min(grown, self.longest_delay_seconds) * (1.0 - self.jitter * draw())
        if attempts >= self.attempts or passed_seconds + delay > self.total_seconds:
            if attempts == 1:
                raise error
            summary = f"{attempts} attempts in {passed_seconds:.1f} s"
            raise ServerUnavailable(f"{error} ({summary})") from None
        return delay


DEFAULT = Retries()
NEVER = Retries(attempts=1)
