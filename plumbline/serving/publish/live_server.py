"""The server of a live repository: load models, list loaded versions, check a version."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from plumbline.serving.backend.monitoring import CHECK_REQUEST
from plumbline.serving.check.served_model import check_version
from plumbline.serving.client.connection import Connection
from plumbline.serving.client.retries import Retries
from plumbline.serving.client.transport import Transport

T = TypeVar("T")

_BUSY = Retries(attempts=50, factor=1.5, total_seconds=30.0)
"""A busy server accepts requests again within this time."""


class LiveServer(Transport):
    """A connection that can also load models, and check them. Its time limit is that of one load.

    Requests for scores are retried while the server is busy. Loads are not retried: after a broken
    connection the caller must find out whether the model was loaded.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, _BUSY, CHECK_REQUEST)

    def load(self, model: str) -> None:
        """Let the server read a model's config again, and load the versions that it lists.

        Raises
        ------
        ServerError
            A version does not load (the earlier ones stay loaded), or the endpoint is closed.
        """
        triton = self._triton
        self._once(lambda: triton.calls.load_model(model, self._headers(), **triton.time_limit))

    def ready_versions(self, model: str) -> set[str]:
        """The versions that are loaded.

        Raises
        ------
        ServerError
            The endpoint is closed.
        """
        triton = self._triton
        index = self._once(
            lambda: triton.calls.get_model_repository_index(self._headers(), **triton.as_json)
        )
        models = index if isinstance(index, list) else index.get("models", [])
        return {
            str(entry["version"])
            for entry in models
            if entry["name"] == model and entry.get("state") == "READY"
        }

    def check_version(
        self, repository: Path, model: str, number: str, precision: str, max_batch_size: int
    ) -> None:
        """Send a version's check rows through the server, and compare the answers.

        Raises
        ------
        RepositoryError
            The answers differ from those at export.
        ServerError
            The version does not answer.
        """
        check_version(self, repository, model, number, precision, max_batch_size)

    def _once(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except self._failures as error:
            raise self._failed(error) from None
