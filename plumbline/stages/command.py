"""The command line of `run_all.py` and of every stage."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from plumbline.base.console import say
from plumbline.base.device import Device, resolve_device
from plumbline.base.errors import PlumblineError
from plumbline.base.places import ROOT
from plumbline.settings.configuration import load_config
from plumbline.stages.stage import Engine, RunConfig, Stage

DEFAULT_CONFIG = ROOT / "configs" / "criteo_synthetic.yaml"

_OF_THE_MACHINE = frozenset(
    {
        errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR,
        errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EMFILE, errno.ENFILE, errno.ELOOP,
    }
)  # fmt: skip
"""What a file system refuses, and a person can mend: rights, room, names, too many open files."""


def run_parser(description: str) -> argparse.ArgumentParser:
    """The options that `run_all.py` and the stages share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--config", type=Path, default=DEFAULT_CONFIG, help="YAML file (default: %(default)s)"
    )
    parser.add_argument(
        "--data", type=Path, nargs="+", default=[], metavar="PATH",
        help="the raw log files, or a folder of them",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, help="folder of this run (default: runs/NAME)")
    parser.add_argument(
        "--engine", choices=["auto", "native", "nvtabular"], default="auto",
        help="what fits and transforms the features; auto: native on a CPU, else nvtabular",
    )  # fmt: skip
    parser.add_argument(
        "--scheduler", metavar="local|ADDRESS",
        help="run the NVTabular engine on a Dask cluster: one started here, or tcp://HOST:PORT",
    )  # fmt: skip
    parser.add_argument(
        "--model", choices=["fused", "merlin"], default="fused",
        help="form of the DLRM in training: own kernels, or Merlin Models (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--force", action="store_true", help="run again what is complete")
    return parser


def run_config(options: argparse.Namespace) -> RunConfig:
    device = resolve_device(options.device)
    return RunConfig(
        config=load_config(options.config),
        data=tuple(options.data),
        engine=resolve_engine(options.engine, device, options.scheduler),
        model=options.model,
        device=device,
        scheduler=options.scheduler,
    )


def resolve_engine(requested: str, device: Device, scheduler: str | None) -> Engine:
    """Native where one machine's CPU does the work, NVTabular on a GPU or a Dask cluster.

    Raises
    ------
    PlumblineError
        `native` was asked for together with a scheduler, which it has no use for.
    """
    if requested == "native" and scheduler is not None:
        raise PlumblineError(
            f"--scheduler {scheduler}: a Dask cluster is for --engine nvtabular, and --engine "
            "native was given. Leave one of the two out."
        )
    if requested == "auto":
        return "native" if device == "cpu" and scheduler is None else "nvtabular"
    return "native" if requested == "native" else "nvtabular"


def run_folder(options: argparse.Namespace, config: RunConfig) -> Path:
    return options.out if options.out is not None else Path("runs") / config.config.name


def stage_main(stage: Stage, description: str) -> None:
    """Entry of `python pipelines/<stage>.py`."""
    options = run_parser(description).parse_args()

    def body() -> None:
        config = run_config(options)
        stage.ensure(config, run_folder(options, config), force=options.force)

    guarded(body)


def guarded(body: Callable[[], None]) -> None:
    """Run a command's body: an error the user can act on is one line and exit status 2.

    So is a file system that is full, read-only or closed to this user.
    """
    logging.basicConfig(level=logging.WARNING)
    try:
        body()
    except PlumblineError as error:
        say(f" {error}", label="error:", label_style="red")
        sys.exit(2)
    except OSError as error:
        if error.errno not in _OF_THE_MACHINE:
            raise
        file = f"{error.filename}: " if error.filename is not None else ""
        reason = os.strerror(error.errno) if error.errno else str(error)
        say(f" {file}{reason}.", label="error:", label_style="red")
        sys.exit(2)
    except KeyboardInterrupt:
        say("interrupted: the next run goes on from here")
        sys.exit(130)
