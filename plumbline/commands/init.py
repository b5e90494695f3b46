"""`plumbline init`: look at new logs, and write a configuration for them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plumbline.base.json_lines import write_json_lines
from plumbline.commands.options import AsJson


def init(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="CSV, TSV or Parquet; or a folder of files.",
            show_default=False,
        ),
    ],
    label: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The label's column.", show_default="guessed from the values"
        ),
    ] = None,
    click: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORD...",
            help="Values of the label that are clicks.",
            show_default="guessed from the values",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to write.")] = Path(
        "config.yaml"
    ),
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The configuration's name.", show_default="the first file's"
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing file.", show_default="off")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look at raw logs, and write a configuration for them.

    The first file is the log. Files with the same columns are parts of it. Other files are side
    tables, joined if they share a key. The configuration has a comment for each guess.
    """
    from plumbline.commands.describe_logs import describe_logs

    write_json_lines(as_json)
    describe_logs(files, out, name=name, label=label, click=click or (), force=force)
