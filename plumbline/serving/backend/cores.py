"""How many cores the server's processes may use, also in a container."""

from __future__ import annotations

import os
from pathlib import Path

QUOTA_FILE = Path("/sys/fs/cgroup/cpu.max")
"""A container's limit (control groups, v2): microseconds of CPU time a period, and the period."""


def cores() -> int:
    """The cores that the process may run on, or fewer if its limit of CPU time is lower.

    A container with a limit of two cores on a machine of 64 sees all 64. With a thread for each,
    it would use up its CPU time at once and then stand still for the rest of the period.
    """
    usable = len(os.sched_getaffinity(0))
    try:
        quota, period = QUOTA_FILE.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return usable
    if quota == "max":
        return usable
    return max(1, min(usable, int(quota) // int(period)))
