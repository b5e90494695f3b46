"""`plumbline accept`: compare a running server with an export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plumbline.base.console import say
from plumbline.serving.client.connection import Connection, Protocol

TIMEOUT_SECONDS = 60.0
TOLERANCE = 1e-5
"""Largest difference of a float. Another processor sums in another order."""


def accept(
    repository: Annotated[
        Path, typer.Argument(metavar="REPOSITORY", help="The exported model repository.")
    ],
    url: Annotated[str, typer.Argument(metavar="HOST:PORT", help="The server's address.")],
    protocol: Annotated[Protocol, typer.Option(help="Protocol of the port.")] = "http",
    tolerance: Annotated[
        float,
        typer.Option(
            metavar="DIFFERENCE",
            min=0.0,
            help="Largest difference of a float.",
        ),
    ] = TOLERANCE,
) -> None:
    """Send an export's check rows to a running server, and compare the answers."""
    from plumbline.serving.check.acceptance import check_server
    from plumbline.serving.check.served_model import checks_of

    server = checks_of(Connection(url, protocol, TIMEOUT_SECONDS))
    try:
        differences = check_server(repository, server, tolerance)
    finally:
        server.close()
    for model, difference in differences.items():
        say(f"{model}: largest difference {difference:g}")
