"""`plumbline drift`: how far the columns of a new log are from the training rows of a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from plumbline.serving.score.log_drift import ColumnDrift, LogDrift
    from plumbline.stages.report.blocks import Cell, Table

TOO_FAR = 3
"""Exit status if a column is above the limit of --fail-above."""


def drift(
    log: Annotated[
        Path, typer.Argument(metavar="LOG", help="A file of new rows, or a folder of files.")
    ],
    run: Annotated[
        Path | None,
        typer.Option(
            "--run",
            metavar="OUT",
            help="Folder of the run that made the model.",
            show_default="none",
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            metavar="FOLDER",
            help="A model repository, in place of --run; its newest version counts.",
            show_default="none",
        ),
    ] = None,
    tables: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Folder of the side tables.", show_default="that of LOG"
        ),
    ] = None,
    fail_above: Annotated[
        float | None,
        typer.Option(
            metavar="INDEX",
            min=0.0,
            help=f"Exit with status {TOO_FAR} if a column's index is above it.",
            show_default="off",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with the bins.", show_default="off")
    ] = False,
) -> None:
    """Compare the columns of a new log with the training rows of a model, the worst first.

    The log is read with the settings of the log that trained the model. No server is needed.
    """
    from rich.console import Console

    from plumbline.base.console import warn
    from plumbline.base.errors import ConfigError
    from plumbline.serving.repository.export import REPOSITORY_FOLDER
    from plumbline.serving.score.log_drift import Exported, drift_of_log
    from plumbline.stages.compare.terminal import print_tables

    if run is not None and model is None:
        repository = run / "export" / REPOSITORY_FOLDER
    elif model is not None and run is None:
        repository = model
    else:
        raise ConfigError("Wanted either --run OUT or --model FOLDER: the model to compare with.")
    found = drift_of_log(Exported.read(repository), log, tables)
    for text in found.warnings:
        warn(text)
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=1))
    else:
        print_tables([_table(found)], Console())
    if fail_above is not None and any((c.index or 0.0) > fail_above for c in found.columns):
        raise typer.Exit(TOO_FAR)


def _table(found: LogDrift) -> Table:
    from plumbline.stages.report.blocks import Table

    rows, training_rows = f"{found.rows:,}", f"{found.reference.rows:,}"
    return Table(
        f"{rows} rows against {training_rows} of training (shares: training → log)",
        ("column", "measure", "index", "missing", "unseen", "values"),
        [_row(column) for column in found.columns],
        numbers_from=2,
    )


def _row(column: ColumnDrift) -> list[Cell]:
    measured = column.reference.measured
    missing, unseen = (
        f"{before:.1%} → {now:.1%}" for before, now in (column.missing(), column.unseen())
    )
    if not measured.unseen:
        unseen = ""
    values = f"{column.values:,}"
    return [measured.column, measured.measure, _index(column.index), missing, unseen, values]


def _index(index: float | None) -> Cell:
    from plumbline.features.drift.bins import LARGE, MODERATE
    from plumbline.stages.report.blocks import Flagged

    if index is None:
        return "too few"
    if index > LARGE:
        return Flagged(f"{index:.3f}", "bad", "far apart")
    return Flagged(f"{index:.3f}", "warn", "apart") if index > MODERATE else f"{index:.3f}"
