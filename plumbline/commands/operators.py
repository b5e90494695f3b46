"""`plumbline operators`: the operators that a graph may use."""

from __future__ import annotations

import typer


def operators() -> None:
    """List the operators that a graph may use, and what each does."""
    from plumbline.nvtabular.operators import purposes

    lines = purposes()
    width = max(map(len, lines))
    for name, purpose in lines.items():
        typer.echo(f"{name:{width}}  {purpose}")
