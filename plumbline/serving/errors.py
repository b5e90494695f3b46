"""Errors of a model repository, and of the Triton server that serves it."""

from __future__ import annotations

from plumbline.base.errors import ArtifactError, PlumblineError


class RepositoryError(ArtifactError):
    """A model repository is damaged, or a version does not fit it."""

    kind = "a model repository"
    whole = "the model repository"
    written = "the export"
    remedy = "Export the model repository again."

    @classmethod
    def wrong_content(cls, file: str, wanted: str, reason: str) -> RepositoryError:
        return cls(f"{file}: wanted {wanted}, but {reason}. {cls.remedy}")


class WrongAnswer(RepositoryError):
    """A served model's answers differ from those at export."""


class ServerError(PlumblineError):
    """The Triton server cannot be found, started or reached."""


class ServerTimeout(ServerError):
    """The server did not answer within the time limit of the request."""


class ServerUnavailable(ServerError):
    """The server cannot be reached, or accepts no requests at the moment; a retry may succeed."""


class RequestRefused(ServerError):
    """The server read the request and refused it: a shape, a type or a value does not fit.

    `reason` is the server's own message.
    """

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"Triton at {url}: {reason}")
        self.reason = reason


class ServerBusy(ServerUnavailable):
    """The server rejected a request because too many others wait, or this one waited too long."""
