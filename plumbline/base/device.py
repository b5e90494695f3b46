"""Devices, and what a machine lacks to use a GPU."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Literal

Device = Literal["cpu", "cuda"]
RequestedDevice = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that a GPU needs and the machine lacks."""

    what: str
    """A clause: `the CUDA kernels were not built`."""
    remedy: str
    """What to do, as the start of a sentence: `Install nvcc`."""


def missing_driver() -> Missing | None:
    """None if the CUDA driver finds a device."""
    if cuda_devices():
        return None
    return Missing("the CUDA driver finds no device", "Install NVIDIA's driver for the GPU")


def cuda_devices() -> int:
    """Number of CUDA devices. Asks the driver itself, which needs no package; 0 without one."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value
