"""The numbers of dtypes in calls of native kernels. Needs no torch."""

from __future__ import annotations

DTYPE_NUMBERS = {"fp32": 0, "bf16": 1, "fp16": 2}
"""The same as in plumbline/dlrm/kernels/cpu/dtypes.h and plumbline/dlrm/kernels/cuda/api.h."""
