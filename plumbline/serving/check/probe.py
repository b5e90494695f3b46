"""Probe a running server: does every model give the right answers?

`python3 -m plumbline.serving.check.probe HOST:PORT` is `plumbline probe` for a machine that watches
servers and has only NumPy, PyArrow and Triton's client.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

from plumbline.base.exit_status import exit_status
from plumbline.serving.check.served_model import check_served, checks_of, exported_models_in
from plumbline.serving.client.connection import (
    SECRET_HEADER,
    Connection,
    Protocol,
    read_secret,
    secret_header,
)
from plumbline.serving.errors import RepositoryError, ServerError

REPOSITORY_VARIABLE = "PLUMBLINE_REPOSITORY"
"""Environment variable with the served repository's folder; the image sets it."""
SECONDS = 5.0
"""Default time limit of one answer."""


def probe(url: str, protocol: Protocol, repository: Path | None, seconds: float) -> str:
    """Send the check rows through every model, and return a line that says what was checked.

    Parameters
    ----------
    url
        Host and port.
    repository
        The served repository's folder; by default the one that the environment variable names.
    seconds
        Time limit of one answer.

    Raises
    ------
    RepositoryError
        A model's answers are wrong, or there is no such repository.
    ServerError
        A model does not answer, or its server cannot be reached.
    """
    folder = _repository(repository)
    models = exported_models_in(folder)
    secret = read_secret()
    headers = {} if secret is None else secret_header(protocol, SECRET_HEADER, secret)
    server = checks_of(Connection(url, protocol, seconds, headers))
    try:
        for model in models:
            check_served(server, folder, model)
    finally:
        server.close()
    return f"{len(models)} models answer as they did at export."


def _repository(given: Path | None) -> Path:
    if given is not None:
        return given
    named = os.environ.get(REPOSITORY_VARIABLE)
    if not named:
        raise RepositoryError(
            f"Wanted the served repository's folder, got none. Give --repository, or set "
            f"{REPOSITORY_VARIABLE}."
        )
    return Path(named)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ServerError(f"{message}. See --help.")


def _main() -> None:
    parser = _Parser(description="Send check rows through every model of a running server.")
    parser.add_argument("url", metavar="HOST:PORT")
    parser.add_argument("--protocol", choices=["http", "grpc"], default="http")
    parser.add_argument("--repository", metavar="FOLDER", type=Path)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    given = parser.parse_args()
    sys.stdout.write(f"{probe(given.url, given.protocol, given.repository, given.seconds)}\n")


if __name__ == "__main__":
    with exit_status():
        _main()
