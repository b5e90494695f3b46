"""A request that is refused: its HTTP status, and one line that says why."""

from __future__ import annotations

from plumbline.base.errors import PlumblineError


class Refused(PlumblineError):
    """`status` is the HTTP status of the answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status

    @classmethod
    def busy(cls, reason: str) -> Refused:
        return cls(503, f"{reason} Send it again later.")
