"""The options that `plumbline run`, the stages, and `plumbline publish` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plumbline.base.console import warn
from plumbline.base.device import RequestedDevice
from plumbline.base.errors import ConfigError
from plumbline.base.paths import ROOT
from plumbline.dlrm.processes.place import place
from plumbline.rawlogs.remote import split_data
from plumbline.settings.configuration import load_config
from plumbline.stages.machine import choose
from plumbline.stages.parent import config_of_day, engine_of_day, next_folder, parent_of
from plumbline.stages.run import DEFAULT_CONFIG, SPARK_LOCAL, RequestedEngine, Run, TrainedModel

# The groups of `--help`.
DATA, WHERE = "Data and folder", "Where it computes"
STAGES_DONE, RESULTS = "What is done again", "Results"

ConfigFile = Annotated[
    Path,
    typer.Option(
        "--config",
        metavar="FILE",
        rich_help_panel=DATA,
        help="YAML file of the data set.",
        show_default=str(DEFAULT_CONFIG.relative_to(ROOT)),
    ),
]
Data = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        metavar="PATH...",
        rich_help_panel=DATA,
        help="The raw log files, or a folder of them: paths, or URLs such as s3://BUCKET/LOGS.",
        show_default="none: for a configuration whose click model draws a log",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FOLDER",
        rich_help_panel=DATA,
        help="Folder of the run.",
        show_default="runs/NAME, or RUN+1 beside --append-to RUN",
    ),
]
AppendTo = Annotated[
    Path | None,
    typer.Option(
        "--append-to",
        metavar="RUN",
        rich_help_panel=DATA,
        help="Append the day of --data to this run: a new run goes on from its features and model.",
        show_default="off",
    ),
]
EngineName = Annotated[
    RequestedEngine,
    typer.Option(
        "--engine",
        rich_help_panel=WHERE,
        help="Engine that fits and encodes the features; auto: nvtabular with cuDF or --scheduler, "
        "spark with --master, else native.",
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="local|ADDRESS",
        rich_help_panel=WHERE,
        help="Run the NVTabular engine on a Dask cluster: one started here, or tcp://HOST:PORT.",
        show_default="no cluster",
    ),
]
Master = Annotated[
    str | None,
    typer.Option(
        "--master",
        metavar="URL",
        rich_help_panel=WHERE,
        help="Run the Spark engine on this master: local[N], spark://HOST:PORT, yarn, k8s://URL.",
        show_default=f"{SPARK_LOCAL} with --engine spark",
    ),
]
ModelName = Annotated[
    TrainedModel,
    typer.Option(
        "--model",
        rich_help_panel=WHERE,
        help="Trainer of the DLRM: fused (our own kernels), or Merlin Models.",
    ),
]
DeviceName = Annotated[
    RequestedDevice,
    typer.Option(
        "--device",
        rich_help_panel=WHERE,
        help="auto: cuda if driver, torch and our kernels have it.",
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        rich_help_panel=STAGES_DONE,
        help="Run complete stages again.",
        show_default="off",
    ),
]
Verify = Annotated[
    bool,
    typer.Option(
        "--verify",
        rich_help_panel=STAGES_DONE,
        help="Check complete stages too, and the log.",
        show_default="off",
    ),
]
AsJson = Annotated[
    bool,
    typer.Option(
        "--json",
        rich_help_panel=RESULTS,
        help="Print lines of JSON for programs: progress, results, warnings, the error.",
        show_default="off",
    ),
]


def run_of(
    config: Path,
    data: list[str] | None,
    out: Path | None,
    engine: RequestedEngine,
    scheduler: str | None,
    model: TrainedModel,
    device: RequestedDevice,
    append_to: Path | None = None,
    master: str | None = None,
) -> tuple[Run, Path]:
    """The run that the options describe, and its folder.

    Raises
    ------
    PlumblineError
        The configuration is wrong, two options contradict each other, or the machine lacks what
        an option needs.
    """
    settings = load_config(config)
    if out is None:
        out = Path("runs") / settings.name if append_to is None else next_folder(append_to)
    parent = parent_of(out, append_to)
    if parent is not None:
        settings, engine = config_of_day(settings), engine_of_day(engine, scheduler, master)
    elif data and settings.click_model is not None:
        raise ConfigError(
            f"--data {data[0]}: {config} draws its own log (click_model) and would not read it. "
            "Give the configuration of your log with --config (plumbline init writes one), or no "
            "--data."
        )
    choice = choose(device, engine, scheduler, master=master)
    here = place()
    if here is None or here.rank == 0:
        for note in choice.notes:
            warn(note)
    paths, urls = split_data(data or ())
    run = Run(
        config=settings,
        data=paths,
        engine=choice.engine,
        model=model,
        device=choice.device,
        scheduler=scheduler,
        engine_device=choice.engine_device,
        parent=parent,
        remote=urls,
        master=master or SPARK_LOCAL,
    )
    return run, out
