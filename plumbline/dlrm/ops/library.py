"""The native modules of the kernels, if they were built.

`PLUMBLINE_NATIVE=0` in the environment selects plain torch, as on a machine without a compiler. The
modules need no torch to build or run. If torch is loaded too, in either order, both share one
OpenMP library and its threads, because torch's copy has the system library's name.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType

from plumbline.base.device import Missing
from plumbline.base.errors import MachineError
from plumbline.base.native import SETTING, is_wanted


def cpu_module() -> ModuleType | None:
    """`plumbline.dlrm._kernels`, or None if it was not built or is disabled."""
    return _cpu_module() if is_wanted() else None


def cuda_module() -> ModuleType | None:
    """`plumbline.dlrm._kernels_cuda`, or None if it was not built or is disabled."""
    return _cuda_module() if is_wanted() else None


def missing_cuda_module() -> Missing | None:
    """None if there is a `cuda_module`."""
    if not is_wanted():
        return Missing(f"{SETTING}=0 turns the CUDA kernels off", f"Unset {SETTING}")
    if cuda_module() is None:
        return Missing(
            "the CUDA kernels, plumbline.dlrm._kernels_cuda, were not built",
            "Install nvcc (CUDA 12 or 13) and build the package again (docs/dependencies.md)",
        )
    return None


def required_cuda_module() -> ModuleType:
    """`plumbline.dlrm._kernels_cuda`, for tensors on a GPU; raises MachineError without it.

    Plain torch is much slower there, and its sums are not deterministic.
    """
    missing = missing_cuda_module()
    if missing is not None:
        raise MachineError(
            f"Tensors on a GPU: wanted the CUDA kernels, but {missing.what}. {missing.remedy}, or "
            "use --device cpu."
        )
    module = cuda_module()
    assert module is not None
    return module


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
