"""The native module, if it was built; without it NumPy does the same work.

`PLUMBLINE_NATIVE=0` in the environment also selects NumPy. Both give the same results.
"""

from __future__ import annotations

import os

__all__ = ["SETTING", "is_wanted", "native", "uses_native"]

try:
    from plumbline import _native as native
except ImportError:  # not built on this machine, or for another Python
    native = None  # type: ignore[assignment]

SETTING = "PLUMBLINE_NATIVE"


def is_wanted() -> bool:
    """Whether native code may run, if it was built."""
    return os.environ.get(SETTING) != "0"


def uses_native() -> bool:
    """Whether native code runs: it was built, and is wanted."""
    return native is not None and is_wanted()
