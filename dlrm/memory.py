"""How the process keeps its memory."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # of mallopt(3)
_GIGABYTE = 1 << 30


def keep_freed_memory() -> None:
    """Let glibc keep what is freed, for the whole process; elsewhere nothing happens.

    A training step frees and allocates the same large tensors again and again. Without this each of
    them is mapped anew, and its pages are zeroed and faulted in one by one.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, _GIGABYTE)
    mallopt(_M_TOP_PAD, _GIGABYTE // 16)
