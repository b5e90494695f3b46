"""The time that a server may take until it is ready."""

from __future__ import annotations

import time
from collections.abc import Callable

BUSY_COUNTS = 0.1
"""A second in which the server's processes compute counts so much of its limit."""
_SPAN_SECONDS = 1.0
_BUSY_SHARE = 0.02
"""Of a processor. On a loaded machine a process that wants a processor gets little of it."""


class StartLimit:
    """Counts the seconds of a start, those in which the server computes a tenth.

    So a slow model on a loaded machine gets up to ten times the limit, and a server that stands
    still gets no more than the limit.

    Parameters
    ----------
    seconds
        The limit.
    computed
        Returns the processor time of the server's processes, in seconds.
    """

    def __init__(
        self,
        seconds: float,
        computed: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._computed = computed
        self._clock = clock
        self._counted = 0.0
        self._since = clock()
        self._computed_before = computed()

    def is_over(self) -> bool:
        """Whether the limit is reached; to be called often."""
        now = self._clock()
        passed = now - self._since
        if passed < min(_SPAN_SECONDS, self._seconds):
            return False
        computed = self._computed()
        is_busy = computed - self._computed_before >= _BUSY_SHARE * passed
        self._counted += passed * (BUSY_COUNTS if is_busy else 1.0)
        self._since, self._computed_before = now, computed
        return self._counted >= self._seconds
