"""The native modules of the kernels, where they were built.

`PLUMBLINE_NATIVE=0` in the environment chooses the plain torch forms, as a machine without a
compiler does. No module needs torch to be built, so one build serves any torch; torch is imported
first here, so that both use its OpenMP threads.
"""

from __future__ import annotations

from types import ModuleType

import torch  # noqa: F401  loads its OpenMP library, which the kernels then share

from features.native_form import is_wanted

try:
    from dlrm import _kernels
except ImportError:  # not built on this machine, or for another Python
    _kernels = None  # type: ignore[assignment]

try:
    from dlrm import _kernels_cuda
except ImportError:  # there was no nvcc
    _kernels_cuda = None  # type: ignore[assignment]


def cpu_module() -> ModuleType | None:
    """`dlrm._kernels`, or None where it was not built or is not wanted."""
    return _kernels if is_wanted() else None


def cuda_module() -> ModuleType | None:
    """`dlrm._kernels_cuda`, or None where it was not built or is not wanted."""
    return _kernels_cuda if is_wanted() else None
