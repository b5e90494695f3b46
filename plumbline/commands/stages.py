"""`plumbline run`, and a command for each stage: `plumbline generate`, `plumbline ingest`, …"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from plumbline.base.command_line import interrupted
from plumbline.base.console import say
from plumbline.base.errors import PlumblineError
from plumbline.base.json_lines import write_json_lines
from plumbline.base.library_log import library_log
from plumbline.commands.options import (
    RESULTS,
    STAGES_DONE,
    AppendTo,
    AsJson,
    ConfigFile,
    Data,
    DeviceName,
    EngineName,
    Force,
    Master,
    ModelName,
    Out,
    Scheduler,
    Verify,
    run_of,
)
from plumbline.commands.processes import ProcessCount, in_processes
from plumbline.stages.mlflow_run import MlflowRuns
from plumbline.stages.parent import Link
from plumbline.stages.run import DEFAULT_CONFIG, Run
from plumbline.stages.run_all import LAST, STAGES, run_all, stage_named, stages_to_run
from plumbline.stages.run_lock import run_lock

LIBRARY_LOG = "libraries.log"


def _known(stage: str | None) -> str | None:
    if stage is not None and stage not in STAGES:
        raise typer.BadParameter(f"{stage!r} is not one of {', '.join(STAGES)}.")
    return stage


def run(
    config: ConfigFile = DEFAULT_CONFIG,
    data: Data = None,
    out: Out = None,
    append_to: AppendTo = None,
    engine: EngineName = "auto",
    scheduler: Scheduler = None,
    master: Master = None,
    model: ModelName = "fused",
    device: DeviceName = "auto",
    nproc: ProcessCount = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="|".join(STAGES),
            callback=_known,
            rich_help_panel=STAGES_DONE,
            help="Run again from this stage on.",
            show_default="none: complete stages are skipped",
        ),
    ] = None,
    last: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="|".join(STAGES),
            callback=_known,
            rich_help_panel=STAGES_DONE,
            help="Stop after this stage.",
        ),
    ] = LAST,
    force: Force = False,
    verify: Verify = False,
    mlflow: Annotated[
        str | None,
        typer.Option(
            "--mlflow",
            metavar="URI",
            rich_help_panel=RESULTS,
            help="Log the finished run to this MLflow server, folder or database, and register "
            "its model.",
            show_default="none",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Raw logs to served scores: every stage in order, then a report.

    A complete stage is skipped, so a killed run continues where it stopped.

    With --append-to, the day of --data is appended to a finished run, in a new folder.
    """
    write_json_lines(as_json)
    if mlflow is not None and last != LAST:
        raise PlumblineError(
            f"--mlflow {mlflow} with --to {last}: only a finished run has a report to log. Leave "
            "one of the two out."
        )
    chosen, folder = run_of(config, data, out, engine, scheduler, model, device, append_to, master)

    def work(run: Run) -> None:
        names = stages_to_run(run, start=start, last=last)
        link = checked_day(run, folder, force=force)
        runs = None if mlflow is None else MlflowRuns(mlflow)
        with working_in(folder):
            if link is not None:
                link.write(folder)
            run_all(run, folder, names, start=start, force=force, verify=verify)
            if runs is not None:
                say(f": {mlflow}, run {runs.log(folder)}", label="mlflow")

    in_processes(nproc, chosen, work)


def checked_day(run: Run, folder: Path, *, force: bool) -> Link | None:
    """The link of an appended day, after all checks; None for a run of its own."""
    if run.parent is None:
        return None
    from plumbline.stages.day_check import check_day

    return check_day(run, run.parent, folder, force=force)


def stage_command(name: str) -> Callable[..., None]:
    """The command of one stage. The stages that it needs must be complete."""

    def command(
        config: ConfigFile = DEFAULT_CONFIG,
        data: Data = None,
        out: Out = None,
        engine: EngineName = "auto",
        scheduler: Scheduler = None,
        master: Master = None,
        model: ModelName = "fused",
        device: DeviceName = "auto",
        force: Force = False,
        verify: Verify = False,
        as_json: AsJson = False,
    ) -> None:
        write_json_lines(as_json)
        chosen, folder = run_of(config, data, out, engine, scheduler, model, device, master=master)
        with working_in(folder):
            stage_named(name).ensure(chosen, folder, force=force, verify=verify)

    return command


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Holds the lock of the run's folder; says after Ctrl-C that complete stages are not lost.

    What libraries log is in `LIBRARY_LOG` of the folder.
    """
    try:
        with run_lock(folder), library_log(folder / LIBRARY_LOG):
            yield
    except KeyboardInterrupt:
        raise interrupted() from None
