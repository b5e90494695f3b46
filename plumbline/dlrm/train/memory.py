"""Memory allocator settings for training."""

from __future__ import annotations

import ctypes
from functools import cache

import torch

from plumbline.dlrm.ops.library import cpu_module

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of mallopt(3)
_ALL = 2**31 - 1
_RESERVED = 1 << 30
"""Bytes of address space to back by large pages: more than a step of the article's model in batches
of 8,192 uses apart from its weights."""


@cache
def keep_freed_memory() -> None:
    """Make glibc keep freed memory, in large pages, for the whole process; a no-op elsewhere.

    Every training step allocates and frees the same large tensors. Without this each allocation
    maps new pages, which are zeroed and faulted in one by one.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, _ALL)
    module = cpu_module()
    if module is not None:
        untouched = torch.empty(_RESERVED, dtype=torch.uint8)
        module.advise_large_pages(untouched.data_ptr(), untouched.nbytes)
