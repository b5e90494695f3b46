"""Dtypes by their names in settings and their codes in native code."""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["fp32", "bf16", "fp16"]

DTYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}

PRECISIONS = {dtype: precision for precision, dtype in DTYPES.items()}

NUMBERS = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}
"""The same as in plumbline/dlrm/kernels/cpu/dtypes.h and plumbline/dlrm/kernels/cuda/api.h."""


def dtype_name(dtype: torch.dtype) -> str:
    """torch's name of a dtype, for messages.

    >>> dtype_name(torch.float32)
    'float32'
    """
    return str(dtype).removeprefix("torch.")
