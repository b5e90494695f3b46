"""The launcher's health check: whether every model of the server answers as it did at export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from plumbline.serving.check.served_model import check_served, checks_of, models_in
from plumbline.serving.client.connection import Connection
from plumbline.serving.errors import (
    RepositoryError,
    ServerBusy,
    ServerError,
    ServerTimeout,
    ServerUnavailable,
    WrongAnswer,
)
from plumbline.serving.launch.model_processes import Instance

ANSWER_SECONDS = 5.0
"""Time limit of one answer. It exceeds what an overloaded server needs to reject a request."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a server has to be started again."""

    cause: str
    """`died`, `model_process_died`, `wrong_answer`, `error_answer`, `no_answer`, `unreachable`."""
    text: str
    """A sentence."""


class Health:
    """A connection for checks of one running server.

    Parameters
    ----------
    repository
        The served repository, with the check rows.
    url
        Host and port of HTTP.
    headers
        With the secret, if scoring requires it.
    """

    def __init__(
        self,
        repository: Path,
        url: str,
        headers: Mapping[str, str],
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._server = checks_of(Connection(url, "http", answer_seconds, headers))
        self._repository, self._models = repository, models_in(repository)

    def __enter__(self) -> Health:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()

    def check(self, lost: set[Instance]) -> Failure | None:
        """The first failure, or None. A busy server is healthy.

        A server that unloads a version ends its processes. So an instance that has `lost` its
        process is a failure only if its version is still served.

        Nothing can be said of a model whose check rows cannot be read from the repository; that is
        no failure of the server.
        """
        try:
            for instance in lost:
                if failure := self._lost(instance):
                    return failure
            for model in self._models:
                self._check(model)
        except ServerTimeout as error:
            return Failure("no_answer", str(error))
        except ServerUnavailable as error:
            return Failure("unreachable", str(error))
        except WrongAnswer as error:
            return Failure("wrong_answer", str(error))
        except ServerError as error:
            return Failure("error_answer", str(error))
        return None

    def _check(self, model: str) -> None:
        try:
            check_served(self._server, self._repository, model)
        except WrongAnswer:
            raise
        except (ServerBusy, RepositoryError):
            pass

    def _lost(self, instance: Instance) -> Failure | None:
        model, version = instance.model, instance.version
        if not self._server.is_ready(model, version):
            return None
        text = f"A process of model {model!r}, version {version}, died."
        return Failure("model_process_died", text)
