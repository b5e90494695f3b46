"""`--nproc`: commands that train in several processes, which torchrun or this option starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import typer

from plumbline.base.device import cuda_devices
from plumbline.base.errors import PlumblineError
from plumbline.commands.options import WHERE
from plumbline.dlrm.processes.place import place
from plumbline.dlrm.processes.requirements import check_settings, require_packages
from plumbline.stages.run import Run

ProcessCount = Annotated[
    int | None,
    typer.Option(
        "--nproc",
        min=1,
        metavar="PROCESSES",
        rich_help_panel=WHERE,
        help="Train in so many processes on this machine: one a GPU, or dividing the cores.",
        show_default="1, or torchrun's",
    ),
]


def in_processes(count: int | None, run: Run, work: Callable[[Run], None]) -> None:
    """Do a command's work, in as many processes as the user wants to train in.

    The first process does the work; the others wait until it trains, and train with it.

    Raises
    ------
    PlumblineError
        The run cannot be trained in several processes, or a package for it is missing.
    """
    here = place()
    if here is None and count in (None, 1):
        work(run)
        return
    wanted = count if here is None else here.count
    if here is not None and count not in (None, here.count):
        raise PlumblineError(
            f"--nproc {count}: wanted torchrun's number of processes, {here.count}, or no --nproc."
        )
    assert wanted is not None
    if run.parent is not None:
        raise PlumblineError(
            f"--nproc {wanted}: a day is appended in one process, since its tables grow. Leave "
            "--nproc out, or train on all days in a new run."
        )
    check_settings(run.config, run.model)
    require_packages(wanted)
    if here is None:
        if run.device == "cuda" and wanted > cuda_devices():
            raise PlumblineError(
                f"--nproc {wanted}: wanted a GPU for each process, found {cuda_devices()}. Give "
                "fewer processes, or --device cpu."
            )
        from plumbline.dlrm.processes.launch import launch

        if status := launch(wanted):
            raise typer.Exit(status)
        return
    from plumbline.dlrm.processes.group import joined
    from plumbline.dlrm.processes.job import follow

    with joined(here) as group:
        if not group.leads:
            follow(group)
            return
        work(replace(run, group=group))
        group.give_work("")
