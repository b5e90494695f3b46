"""What a run uses of this machine: a GPU if all that it needs is there, NVTabular on cuDF if cuDF
imports, and otherwise the CPU, with a line that says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from plumbline.base.device import Device, Missing, RequestedDevice, missing_driver
from plumbline.base.errors import PlumblineError
from plumbline.stages.run import Engine, RequestedEngine


def _torch() -> Missing | None:
    from plumbline.dlrm.ops.missing_cuda import missing_torch

    return missing_torch()


def _kernels() -> Missing | None:
    from plumbline.dlrm.ops.missing_cuda import missing_kernels

    return missing_kernels()


def _cudf() -> Missing | None:
    from plumbline.nvtabular.missing_cudf import missing_cudf

    return missing_cudf()


def _spark() -> Missing | None:
    from plumbline.spark.missing_spark import missing_spark

    return missing_spark()


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine has: each function returns what is missing, or None.

    Those of a GPU are called in this order, up to the first that lacks something: torch and cuDF
    take seconds to import.
    """

    driver: Callable[[], Missing | None] = missing_driver
    torch: Callable[[], Missing | None] = _torch
    kernels: Callable[[], Missing | None] = _kernels
    cudf: Callable[[], Missing | None] = _cudf
    spark: Callable[[], Missing | None] = _spark

    def missing_for_gpu(self) -> Missing | None:
        """The first thing that is missing to train and score on a GPU."""
        return self.driver() or self.torch() or self.kernels()


@dataclass(frozen=True, slots=True)
class Choice:
    """What a run uses."""

    device: Device
    """Device that trains and scores."""
    engine: Engine
    engine_device: Device
    """Device of NVTabular and of Merlin's data loader."""
    notes: tuple[str, ...]
    """A sentence about each part that stays on the CPU although the machine has a GPU."""


def choose(
    device: RequestedDevice,
    engine: RequestedEngine,
    scheduler: str | None,
    machine: Machine | None = None,
    *,
    master: str | None = None,
) -> Choice:
    """The device and the engine to use.

    `auto` is CUDA if driver, torch and our kernels are there, else the CPU. The engine `auto` is
    Spark with a master, NVTabular if cuDF is there too or with a scheduler, else native.

    Parameters
    ----------
    scheduler, master
        Of a Dask cluster, and of Spark.
    machine
        None asks this machine.

    Raises
    ------
    PlumblineError
        Something that was requested lacks what it needs, or an engine was requested together with a
        cluster that it cannot use.
    """
    machine = Machine() if machine is None else machine
    on_cpu = _on_cpu(engine, scheduler, master)
    if on_cpu == "spark" and (missing := machine.spark()) is not None:
        raise PlumblineError(
            f"--engine spark: {missing.what}. {missing.remedy}, or use --engine native."
        )
    chosen, notes = _device(device, machine)
    if chosen == "cpu":
        return Choice("cpu", on_cpu, "cpu", notes)
    missing = machine.cudf()
    stays = engine == "native" or on_cpu == "spark"
    if missing is None:
        return Choice("cuda", on_cpu if stays else "nvtabular", "cuda", notes)
    if device == "cuda" and engine == "nvtabular":
        raise PlumblineError(
            f"--device cuda with --engine nvtabular: {missing.what}. {missing.remedy}, or use "
            "--engine native."
        )
    if not stays:
        used = "NVTabular on pandas" if on_cpu == "nvtabular" else "the native engine"
        notes = (f"{missing.what}: {used} encodes the features on the CPU. {missing.remedy}.",)
    return Choice("cuda", on_cpu, "cpu", notes)


def _on_cpu(engine: RequestedEngine, scheduler: str | None, master: str | None) -> Engine:
    """The engine to use without cuDF.

    Raises
    ------
    PlumblineError
        A cluster was given that the engine cannot use.
    """
    clusters: tuple[tuple[str | None, str, Engine], ...] = (
        (scheduler, "--scheduler {}: a Dask cluster", "nvtabular"),
        (master, "--master {}: a Spark master", "spark"),
    )
    used: list[Engine] = [] if engine == "auto" else [engine]
    for address, cluster, of_engine in clusters:
        if address is None:
            continue
        if used and used != [of_engine]:
            other = "--scheduler" if engine == "auto" else f"--engine {engine}"
            raise PlumblineError(
                f"{cluster.format(address)} is for --engine {of_engine}, and {other} was given. "
                "Leave one of the two out."
            )
        used = [of_engine]
    return used[0] if used else "native"


def _device(requested: RequestedDevice, machine: Machine) -> tuple[Device, tuple[str, ...]]:
    if requested == "cpu":
        return "cpu", ()
    missing = machine.missing_for_gpu()
    if missing is None:
        return "cuda", ()
    if requested == "cuda":
        raise PlumblineError(
            f"--device cuda: {missing.what}. {missing.remedy}, or use --device cpu."
        )
    if machine.driver() is not None:
        return "cpu", ()  # a machine without a GPU
    note = f"there is a GPU, but {missing.what}: the CPU is used. {missing.remedy}."
    return "cpu", (note,)
