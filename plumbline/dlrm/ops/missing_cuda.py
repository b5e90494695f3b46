"""What torch and our kernels lack to use a GPU."""

from __future__ import annotations

import torch

from plumbline.base.device import Missing
from plumbline.base.native import SETTING, is_wanted
from plumbline.dlrm.ops.library import cuda_module


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
    """None if the CUDA kernels were built and may be used."""
    if not is_wanted():
        return Missing(f"{SETTING}=0 turns the CUDA kernels off", f"Unset {SETTING}")
    if cuda_module() is None:
        return Missing(
            "the CUDA kernels, plumbline.dlrm._kernels_cuda, were not built",
            "Install nvcc (CUDA 12 or 13) and build the package again (docs/dependencies.md)",
        )
    return None
