"""The numbers by which native code knows dtypes; the same in plumbline/dlrm/kernels/cpu and
cuda/api.h."""

from __future__ import annotations

import torch

NUMBERS = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}
