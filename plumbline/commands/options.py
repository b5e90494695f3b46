"""The options that `plumbline run`, the stages, and `plumbline publish` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plumbline.base.console import warn
from plumbline.base.device import RequestedDevice
from plumbline.base.paths import ROOT
from plumbline.settings.configuration import load_config
from plumbline.stages.machine import choose
from plumbline.stages.run import DEFAULT_CONFIG, RequestedEngine, Run, TrainedModel

ConfigFile = Annotated[
    Path,
    typer.Option(
        "--config",
        metavar="FILE",
        help="YAML file of the data set.",
        show_default=str(DEFAULT_CONFIG.relative_to(ROOT)),
    ),
]
Data = Annotated[
    list[Path] | None,
    typer.Option(
        "--data",
        metavar="PATH...",
        help="The raw log files, or a folder of them.",
        show_default="none: the configuration's click model draws a log",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FOLDER", help="Folder of the run.", show_default="runs/NAME"),
]
EngineName = Annotated[
    RequestedEngine,
    typer.Option(
        "--engine",
        help="Engine that fits and encodes the features; auto: nvtabular with cuDF or a cluster, "
        "else native.",
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="local|ADDRESS",
        help="Run the NVTabular engine on a Dask cluster: one started here, or tcp://HOST:PORT.",
        show_default="no cluster",
    ),
]
ModelName = Annotated[
    TrainedModel,
    typer.Option("--model", help="Trainer of the DLRM: fused (our own kernels), or Merlin Models."),
]
DeviceName = Annotated[
    RequestedDevice,
    typer.Option("--device", help="auto: cuda if driver, torch and our kernels have it."),
]
Force = Annotated[
    bool, typer.Option("--force", help="Run complete stages again.", show_default="off")
]
Verify = Annotated[
    bool,
    typer.Option("--verify", help="Check complete stages too, and the log.", show_default="off"),
]


def run_of(
    config: Path,
    data: list[Path] | None,
    out: Path | None,
    engine: RequestedEngine,
    scheduler: str | None,
    model: TrainedModel,
    device: RequestedDevice,
) -> tuple[Run, Path]:
    """The run that the options describe, and its folder.

    Raises
    ------
    PlumblineError
        The configuration is wrong, two options contradict each other, or the machine lacks what
        an option needs.
    """
    choice = choose(device, engine, scheduler)
    for note in choice.notes:
        warn(note)
    run = Run(
        config=load_config(config),
        data=tuple(data or ()),
        engine=choice.engine,
        model=model,
        device=choice.device,
        scheduler=scheduler,
        engine_device=choice.engine_device,
    )
    return run, out if out is not None else Path("runs") / run.config.name
