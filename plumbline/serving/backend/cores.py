"""How many cores the server's processes may use, in a container too."""

from __future__ import annotations

import os
from pathlib import Path

QUOTA_FILE = Path("/sys/fs/cgroup/cpu.max")
"""A container's limit (control groups, v2): microseconds of time in a period, and the period."""


def cores() -> int:
    """Those that the process may run on, and no more than its share of their time is worth.

    A container with a limit of two on a machine of 64 cores sees all 64: a thread for each of them
    would use up the share in a moment, and then stand still for the rest of the period.
    """
    usable = len(os.sched_getaffinity(0))
    try:
        quota, period = QUOTA_FILE.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return usable
    if quota == "max":
        return usable
    return max(1, min(usable, int(quota) // int(period)))
