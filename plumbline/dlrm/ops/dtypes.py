"""Dtypes by their names in settings and their codes in native code."""

from __future__ import annotations

from typing import Literal

import torch

from plumbline.dlrm.ops.dtype_numbers import DTYPE_NUMBERS

Precision = Literal["fp32", "bf16", "fp16"]

DTYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}

PRECISIONS = {dtype: precision for precision, dtype in DTYPES.items()}

NUMBERS = {dtype: DTYPE_NUMBERS[precision] for precision, dtype in DTYPES.items()}
"""Of tensors in calls of native kernels."""


def dtype_name(dtype: torch.dtype) -> str:
    """torch's name of a dtype, for messages.

    >>> dtype_name(torch.float32)
    'float32'
    """
    return str(dtype).removeprefix("torch.")
