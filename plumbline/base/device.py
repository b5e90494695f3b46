"""The choice of a device, for all commands."""

from __future__ import annotations

import ctypes
from typing import Literal

from plumbline.base.errors import PlumblineError

Device = Literal["cpu", "cuda"]
RequestedDevice = Literal["auto", "cpu", "cuda"]


def resolve_device(requested: RequestedDevice) -> Device:
    """`auto` means CUDA if the driver finds a device, else the CPU.

    Raises
    ------
    PlumblineError
        `cuda` is requested, but the driver finds no device.
    """
    if requested == "cpu":
        return "cpu"
    count = _cuda_device_count()
    if count > 0:
        return "cuda"
    if requested == "cuda":
        raise PlumblineError("--device cuda: the CUDA driver finds no device. Use --device cpu.")
    return "cpu"


def _cuda_device_count() -> int:
    """Asks the CUDA driver itself, which needs no package; 0 without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value
