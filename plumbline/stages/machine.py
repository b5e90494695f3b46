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


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine has: each function returns what is missing, or None.

    They are called in this order, up to the first that lacks something: torch and cuDF take seconds
    to import.
    """

    driver: Callable[[], Missing | None] = missing_driver
    torch: Callable[[], Missing | None] = _torch
    kernels: Callable[[], Missing | None] = _kernels
    cudf: Callable[[], Missing | None] = _cudf

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
) -> Choice:
    """The device and the engine to use.

    `auto` is CUDA if driver, torch and our kernels are there, else the CPU. The engine `auto` is
    NVTabular if cuDF is there too, or with a scheduler, else native.

    Parameters
    ----------
    machine
        None asks this machine.

    Raises
    ------
    PlumblineError
        `cuda` was requested and something is missing, or `native` together with a scheduler, which
        it cannot use.
    """
    if engine == "native" and scheduler is not None:
        raise PlumblineError(
            f"--scheduler {scheduler}: a Dask cluster is for --engine nvtabular, and --engine "
            "native was given. Leave one of the two out."
        )
    machine = Machine() if machine is None else machine
    on_cpu: Engine = "nvtabular" if engine == "nvtabular" or scheduler is not None else "native"
    chosen, notes = _device(device, machine)
    if chosen == "cpu":
        return Choice("cpu", on_cpu, "cpu", notes)
    missing = machine.cudf()
    if missing is None:
        return Choice("cuda", "native" if engine == "native" else "nvtabular", "cuda", notes)
    if device == "cuda" and engine == "nvtabular":
        raise PlumblineError(
            f"--device cuda with --engine nvtabular: {missing.what}. {missing.remedy}, or use "
            "--engine native."
        )
    if engine != "native":
        used = "NVTabular on pandas" if on_cpu == "nvtabular" else "the native engine"
        notes = (f"{missing.what}: {used} encodes the features on the CPU. {missing.remedy}.",)
    return Choice("cuda", on_cpu, "cpu", notes)


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
