"""`plumbline compare`: what differs between runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN...", help="Folders of two or more runs.")
    ],
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page too.", show_default="none"),
    ] = None,
) -> None:
    """Compare runs: settings that differ, metrics, curves, slices, costs."""
    from rich.console import Console

    from plumbline.base.exit_status import machine_errors
    from plumbline.base.files import write_text
    from plumbline.stages.compare.page import comparison_page, rows_note
    from plumbline.stages.compare.runs import read_runs
    from plumbline.stages.compare.tables import tables_of
    from plumbline.stages.compare.terminal import print_tables

    compared = read_runs(runs)
    console = Console()
    print_tables(tables_of(compared), console)
    typer.echo(rows_note(compared))
    if html is not None:
        with machine_errors(html.parent):
            write_text(html, comparison_page(compared))
        typer.echo(f"Written: {html}")
