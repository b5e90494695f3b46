"""What torch and the CUDA kernels lack to use a GPU."""

from __future__ import annotations

import re
from collections.abc import Collection

import torch

from plumbline.base.device import Missing
from plumbline.dlrm.ops.library import cuda_module, missing_cuda_module

ARCHITECTURE = re.compile(r"'sm_(\d+)'")
"""An architecture in ptxas's report."""


def missing_torch() -> Missing | None:
    """None if torch can use a CUDA device."""
    if torch.version.cuda is None:
        return Missing(
            f"torch {torch.__version__} is built without CUDA",
            "Install a build of torch with CUDA (docs/dependencies.md)",
        )
    if not torch.cuda.is_available():
        return Missing(
            f"torch {torch.__version__}, built for CUDA {torch.version.cuda}, does not work with "
            "this driver",
            "Install a newer driver, or a build of torch for an older CUDA",
        )
    return None


def missing_kernels() -> Missing | None:
    """None if the CUDA kernels were built, may be used, and have code for the current device.

    Torch must be able to use it.
    """
    module, missing = cuda_module(), missing_cuda_module()
    if module is None or missing is not None:
        return missing
    major, minor = torch.cuda.get_device_capability()
    built = {int(number) for number in ARCHITECTURE.findall(module.resources())}
    if runs_on(built, major, minor):
        return None
    return Missing(
        f"the CUDA kernels were built for {', '.join(f'sm_{n}' for n in sorted(built))}, and the "
        f"GPU is sm_{major}{minor}",
        "Build the package with an nvcc for this GPU (docs/dependencies.md)",
    )


def runs_on(built: Collection[int], major: int, minor: int) -> bool:
    """Whether a device runs code that was built for these architectures, with PTX of the last one.

    >>> [runs_on({75, 80, 120}, *device) for device in ((7, 0), (8, 9), (9, 0), (12, 1), (13, 0))]
    [False, True, False, True, True]
    """
    same = any(number // 10 == major and number % 10 <= minor for number in built)
    return same or 10 * major + minor >= max(built)
