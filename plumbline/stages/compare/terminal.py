"""The comparison on the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from plumbline.base.printable import one_line
from plumbline.stages.report.blocks import Bar, Cell, Flagged, Table

_STYLES = {"good": "green", "bad": "bold red", "warn": "yellow"}


def print_tables(tables: Iterable[Table], console: Console) -> None:
    """Print each table that has rows, and the caption of one that has none."""
    for table in tables:
        if not table.rows:
            console.print(Text(one_line(table.caption), style="bold"))
            continue
        shown = RichTable(title=_text(table.caption), title_justify="left", box=box.SIMPLE_HEAD)
        for index, head in enumerate(table.heads):
            is_figure = index >= table.numbers_from
            shown.add_column(_text(head), justify="right" if is_figure else "left", overflow="fold")
        for row in table.rows:
            shown.add_row(*map(_text, row))
        console.print(shown)


def _text(cell: Cell) -> Text:
    if isinstance(cell, Flagged):
        return Text(f"{one_line(cell.text)} ({cell.why})", style=_STYLES[cell.kind])
    return Text(one_line(cell.text if isinstance(cell, Bar) else cell))
