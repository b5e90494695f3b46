"""`plumbline status`: what is complete in a run's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

_AS_WIDE_AS_NEEDED = 10_000
"""Characters of a line, where nobody looks at a terminal."""


def status(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, for programs.", show_default="off")
    ] = False,
) -> None:
    """Print which stages of a run are complete, from what they were made, and their time.

    No file is read but the manifests: --verify of a run checks the files.
    """
    from dataclasses import asdict

    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from plumbline.base.printable import one_line
    from plumbline.stages.status import status_of

    found = status_of(run)
    if as_json:
        content: dict[str, Any] = {**asdict(found), "folder": str(run)}
        typer.echo(json.dumps({**content, "goes_on_with": found.goes_on_with}, indent=2))
        return
    table = Table(box=SIMPLE, pad_edge=False)
    for heading in ("stage", "state", "from", "rows", "seconds", "MB", "finished"):
        is_number = heading in ("seconds", "MB")
        table.add_column(heading, justify="right" if is_number else "left")
    for stage in found.stages:
        cells = (
            stage.stage,
            f"{stage.state}: {stage.why}" if stage.why else stage.state,
            ", ".join(stage.inputs),
            ", ".join(f"{split} {rows:,}" for split, rows in stage.rows.items()),
            "" if stage.seconds is None else f"{stage.seconds:,.1f}",
            f"{stage.bytes / 1e6:,.1f}",
            stage.finished or "",
        )
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    console = Console(width=None if Console().is_terminal else _AS_WIDE_AS_NEEDED)
    console.print(table)
    if found.works is not None:
        console.print(Text(one_line(f"Now works here: {found.works}")), soft_wrap=True)
    after = found.goes_on_with
    console.print("The run is complete." if after is None else f"The next run does: {after}.")
