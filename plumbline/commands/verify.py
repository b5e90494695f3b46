"""`plumbline verify`: check a model repository before a server loads it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def verify(
    repository: Annotated[
        Path, typer.Argument(metavar="REPOSITORY", help="The model repository folder.")
    ],
) -> None:
    """Verify all files of a model repository."""
    from plumbline.serving.check import verify as check

    typer.echo(check.verify(repository))
