"""The native module where it was built; without it everything runs in its NumPy form.

`PLUMBLINE_NATIVE=0` in the environment chooses the NumPy form too. Both give the same results.
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
    """Whether native forms shall run where they were built."""
    return os.environ.get(SETTING) != "0"


def uses_native() -> bool:
    """Whether `native` is there and wanted."""
    return native is not None and is_wanted()
