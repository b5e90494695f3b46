"""Send a version's check rows through a running server, and compare the answers.

The server's metrics of values and scores do not count requests of `checks_of`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.base.errors import PlumblineError
from plumbline.dlrm.onnx.padded_ids import PADDING
from plumbline.serving.backend.monitoring import CHECK_REQUEST
from plumbline.serving.client.connection import Connection
from plumbline.serving.client.transport import Transport
from plumbline.serving.contract.check_rows import CHECK_FILE, CheckRows
from plumbline.serving.contract.interface import (
    DLRM_MODEL,
    ENSEMBLE_MODEL,
    FEATURES_MODEL,
    PRECISION,
)
from plumbline.serving.contract.versions import CONFIG_FILE, newest_version
from plumbline.serving.errors import (
    RepositoryError,
    ServerBusy,
    ServerError,
    ServerTimeout,
    WrongAnswer,
)

_QUEUE_SHARE = 0.2
"""Of the time limit, for each queue. The ensemble has two."""


def checks_of(connection: Connection) -> Transport:
    """A connection whose requests the served models do not count.

    An overloaded server rejects them long before the time limit, which shows that it works.
    """
    queue_seconds = connection.timeout_seconds * _QUEUE_SHARE
    return Transport(connection, request_id=CHECK_REQUEST, queue_seconds=queue_seconds)


def models_in(repository: Path) -> list[str]:
    """The models of a repository."""
    return sorted(config.parent.name for config in repository.glob(f"*/{CONFIG_FILE}"))


def exported_models_in(repository: Path) -> list[str]:
    """The models of an exported repository.

    Raises
    ------
    RepositoryError
        The folder is not an exported repository.
    """
    models = models_in(repository)
    if ENSEMBLE_MODEL not in models:
        raise RepositoryError.missing(str(repository / ENSEMBLE_MODEL / CONFIG_FILE))
    return models


def check_rows_of(repository: Path, model: str, number: str) -> CheckRows:
    """A version's check rows. The ensemble has none: its rows are those of its models.

    Raises RepositoryError if the version has no check rows.
    """

    def read(model: str) -> CheckRows:
        return CheckRows.read(repository / model / number / CHECK_FILE)

    if model != ENSEMBLE_MODEL:
        return read(model)
    return CheckRows(read(FEATURES_MODEL).inputs, read(DLRM_MODEL).outputs)


def answers_to(
    check: CheckRows, server: Transport, model: str, number: str, max_batch_size: int
) -> dict[str, NDArray[Any]]:
    """The server's outputs for the check rows. Raises ServerError as `Transport.infer`."""
    parts = []
    for start in range(0, check.rows, max_batch_size):
        rows = slice(start, start + max_batch_size)
        tensors = {name: tensor[rows] for name, tensor in check.inputs.items()}
        answer = server.infer(model, tensors, number)
        parts.append(
            {n: _padded_as(answer.as_numpy(n), wanted) for n, wanted in check.outputs.items()}
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in check.outputs}


def check_version(
    server: Transport,
    repository: Path,
    model: str,
    number: str,
    precision: str | None,
    max_batch_size: int,
) -> None:
    """Check one version of one model.

    Raises
    ------
    WrongAnswer
        The answers differ from those at export.
    RepositoryError
        The version has no check rows.
    ServerError
        The version does not answer.
    """
    check = check_rows_of(repository, model, number)
    got = answers_to(check, server, model, number, max_batch_size)
    try:
        check.compare(got, precision, f"Model {model!r}, version {number}")
    except RepositoryError as error:
        raise WrongAnswer(str(error)) from None


def check_served(server: Transport, repository: Path, model: str) -> None:
    """Check the version that the server serves by default, as its own config names it.

    A version may be published, and another one removed, between two requests. So a failure counts
    if it happens twice.

    Raises
    ------
    ServerBusy
        The server is overloaded.
    ServerTimeout
        It did not answer in time.
    WrongAnswer, RepositoryError, ServerError
        As `check_version`.
    """
    try:
        _check_served(server, repository, model)
    except (ServerBusy, ServerTimeout):
        raise
    except PlumblineError:
        _check_served(server, repository, model)


def _check_served(server: Transport, repository: Path, model: str) -> None:
    try:
        config = server.config(model)
        number = newest_version(model, config.parameters)
        precision = config.parameters.get(PRECISION)
        check_version(server, repository, model, number, precision, config.max_batch_size)
    except ServerError as error:
        raise type(error)(f"Model {model!r}: {error}") from None


def _padded_as(got: NDArray[Any], wanted: NDArray[Any]) -> NDArray[Any]:
    """With lists as long as the export's. The server pads to the longest list of a batch."""
    if wanted.ndim < 3 or got.ndim != wanted.ndim:
        return got
    length = wanted.shape[2]
    missing = [(0, 0), (0, 0), (0, max(0, length - got.shape[2]))]
    padded = np.pad(got, missing, constant_values=PADDING)
    return padded if (padded[..., length:] != PADDING).any() else padded[..., :length]
