"""The native modules of the kernels, where they were built.

`PLUMBLINE_NATIVE=0` in the environment chooses plain torch, as on a machine without a compiler. No
module needs torch, to be built or to run. Where torch is loaded as well, before or after, both use
one OpenMP library and its threads: torch's own copy has the system's name.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType

from plumbline.base.native import is_wanted


def cpu_module() -> ModuleType | None:
    """`plumbline.dlrm._kernels`, or None where it was not built or is not wanted."""
    return _cpu_module() if is_wanted() else None


def cuda_module() -> ModuleType | None:
    """`plumbline.dlrm._kernels_cuda`, or None where it was not built or is not wanted."""
    return _cuda_module() if is_wanted() else None


def has_bfloat16() -> bool:
    """Whether the CPU kernels are there and the processor has instructions for bfloat16."""
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
    except ImportError:  # there was no nvcc
        return None
    return _kernels_cuda
