"""`plumbline accept`: hold a running server against an export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plumbline.base.console import say
from plumbline.serving.client.connection import Connection, Protocol

TIMEOUT_SECONDS = 60.0
TOLERANCE = 1e-5
"""Of floats; another processor sums in another order."""


def accept(
    repository: Annotated[
        Path, typer.Argument(metavar="REPOSITORY", help="The exported model repository.")
    ],
    url: Annotated[str, typer.Argument(metavar="HOST:PORT", help="The server's address.")],
    protocol: Annotated[Protocol, typer.Option(help="What the port speaks.")] = "http",
    tolerance: Annotated[
        float,
        typer.Option(
            metavar="DIFFERENCE", min=0.0, help="The largest of a float, such as a probability."
        ),
    ] = TOLERANCE,
) -> None:
    """Send an export's check rows to its server, and compare."""
    from plumbline.serving.check.acceptance import check_server
    from plumbline.serving.client.transport import Transport

    server = Transport(Connection(url, protocol, TIMEOUT_SECONDS))
    try:
        found = check_server(repository, server, tolerance)
    finally:
        server.close()
    for model, difference in found.items():
        say(f"{model}: largest difference {difference:g}")
