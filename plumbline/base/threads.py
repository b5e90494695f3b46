"""How the threads of native code wait for each other."""

from __future__ import annotations

import os

SPIN_COUNT = 1000
"""Turns of a waiting thread before it sleeps, some 10 µs; libgomp's own default is 300,000."""

_SETTINGS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def let_waiting_threads_sleep() -> None:
    """Make OpenMP's threads sleep soon while they wait; for programs, before torch is imported.

    A waiting thread that spins takes the core from the thread that it waits for, if other processes
    want the cores too. libgomp reads the environment once, when it is loaded, so a later call has
    no effect. What the user has set stays.
    """
    if not any(name in os.environ for name in _SETTINGS):
        os.environ["GOMP_SPINCOUNT"] = str(SPIN_COUNT)
