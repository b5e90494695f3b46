"""The native modules of the kernels, if they were built.

`PLUMBLINE_NATIVE=0` in the environment selects plain torch, as on a machine without a compiler. The
modules need no torch to build or run. If torch is loaded too, in either order, both share one
OpenMP library and its threads, because torch's copy has the system library's name.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType

from plumbline.base.native import is_wanted


def cpu_module() -> ModuleType | None:
    """`plumbline.dlrm._kernels`, or None if it was not built or is disabled."""
    return _cpu_module() if is_wanted() else None


def cuda_module() -> ModuleType | None:
    """`plumbline.dlrm._kernels_cuda`, or None if it was not built or is disabled."""
    return _cuda_module() if is_wanted() else None


def has_bfloat16() -> bool:
    """Whether the CPU kernels are available and the processor has bfloat16 instructions."""
    module = cpu_module()
    return module is not None and "avx512bf16" in module.instruction_sets()


@cache
def _cpu_module() -> ModuleType | None:
    try:
        from plumbline.dlrm import _kernels
    except ImportError:  # not built on this machine, or for another Python
        return None
    return _kernels


@cache
def _cuda_module() -> ModuleType | None:
    try:
        from plumbline.dlrm import _kernels_cuda
    except ImportError:  # built without nvcc
        return None
    return _kernels_cuda
