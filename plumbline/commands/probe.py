"""`plumbline probe`: check the answers of a running server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plumbline.base.console import say
from plumbline.serving.client.connection import Protocol


def probe(
    url: Annotated[str, typer.Argument(metavar="HOST:PORT", help="The server's address.")],
    protocol: Annotated[Protocol, typer.Option(help="Protocol of the port.")] = "http",
    repository: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="The served model repository.",
            show_default="the environment variable PLUMBLINE_REPOSITORY",
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(metavar="SECONDS", help="Time limit of one answer.")
    ] = 5.0,
) -> None:
    """Send check rows through every model of a running server; status 2 if one is not right."""
    from plumbline.serving.check import probe

    say(probe.probe(url, protocol, repository, seconds))
