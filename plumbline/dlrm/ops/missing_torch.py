"""What torch lacks to use a GPU."""

from __future__ import annotations

import torch

from plumbline.base.device import Missing


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
