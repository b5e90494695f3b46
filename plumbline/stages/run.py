"""A run: its configuration, and the options of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from plumbline.base.device import Device
from plumbline.base.paths import ROOT
from plumbline.settings import Config

if TYPE_CHECKING:
    from plumbline.dlrm.processes.group import Group

DEFAULT_CONFIG = ROOT / "configs" / "criteo_synthetic.yaml"

Engine = Literal["native", "nvtabular", "spark"]
RequestedEngine = Literal["auto", "native", "nvtabular", "spark"]
SPARK_LOCAL = "local[*]"
"""The Spark master of this machine, with a task for each core."""
TrainedModel = Literal["fused", "merlin"]

PARENT = "parent/"
"""The beginning of the names of the parent's stages, as inputs: `parent/etl`."""


@dataclass(frozen=True, slots=True)
class Run:
    """What every stage reads its settings from.

    Parameters
    ----------
    config
        The content of the YAML file.
    data
        The raw log files, or folders of them. Empty if the log is drawn from a click model, or was
        ingested before.
    engine
        Fits and transforms the features.
    model
        The trainer of the DLRM: our own kernels (`fused`), or Merlin Models.
    scheduler
        The Dask cluster of the NVTabular engine: `local`, an address, or none.
    engine_device
        The device of NVTabular and of Merlin's data loader: `cuda` only where cuDF imports.
    parent
        The folder of the run that a day is appended to; None for a run of its own.
    group
        The processes that train together; None if this one trains alone.
    remote
        The URLs of a log in an object store, in place of `data`.
    master
        The Spark master of the Spark engine.
    """

    config: Config
    data: tuple[Path, ...]
    engine: Engine
    model: TrainedModel
    device: Device
    scheduler: str | None
    engine_device: Device = "cpu"
    parent: Path | None = None
    group: Group | None = None
    remote: tuple[str, ...] = ()
    master: str = SPARK_LOCAL
