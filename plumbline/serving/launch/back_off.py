"""How long to wait before a process is started again."""

from __future__ import annotations


class BackOff:
    """No delay after the first end, then delays that double, up to a limit.

    Parameters
    ----------
    first_seconds, longest_seconds
        The delay after the second end in a row, and the limit.
    calm_seconds
        After a process has run for so long, its end counts as the first again.
    """

    def __init__(
        self,
        first_seconds: float = 0.5,
        longest_seconds: float = 30.0,
        calm_seconds: float = 10.0,
    ) -> None:
        self._first, self._longest, self._calm = first_seconds, longest_seconds, calm_seconds
        self._next = 0.0

    def delay(self, ran_seconds: float) -> float:
        """Seconds to wait, for a process that ran for so long before it ended."""
        delay = 0.0 if ran_seconds >= self._calm else self._next
        self._next = min(self._longest, 2.0 * delay or self._first)
        return delay
