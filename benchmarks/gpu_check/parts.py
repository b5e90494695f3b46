"""The parts of the check, in order, and the seconds that each may take on a device."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """`name` is also the part's module, whose function `check` does the work."""

    name: str
    seconds: int
    title: str
    is_first_step: bool = False
    """It makes what the others need, and without it they are skipped. Its `check` takes whether the
    kernels are emulated; that of all others a `Place`."""


PARTS = (
    Part("device", 20, "Versions and device", is_first_step=True),
    Part("build", 50, "The kernels are built", is_first_step=True),
    Part("ceilings", 15, "Ceilings: a copy and a product"),
    Part("ladders", 70, "The kernels against their contracts"),
    Part("loader", 20, "Batches that arrive on the device"),
    Part("trainer", 35, "Training on the device against the CPU"),
    Part("scoring", 30, "Scoring on the device"),
    Part("large", 15, "Arrays of more than 2³² items"),
    Part("times", 60, "Times of the kernels"),
    Part("step", 45, "A training step and its profile"),
    Part("graph", 20, "A step in a CUDA graph"),
    Part("counters", 35, "Counters of ncu"),
    Part("sanitizer", 65, "compute-sanitizer"),
)
TOTAL_SECONDS = 480
"""The limits' sum is at most this."""
EMULATED_SECONDS = 150
"""Limit of each part in the emulation, where other processes may have the cores."""
