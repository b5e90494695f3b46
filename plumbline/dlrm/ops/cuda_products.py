"""How torch multiplies matrices on a GPU."""

from __future__ import annotations

import torch


def sum_products_in_float32() -> None:
    """Make matrix products on a GPU sum in float32, and not round float32 factors.

    By default torch lets cuBLAS add parts of a product in bfloat16 or float16, and some images of
    torch round float32 factors to 10 bits. The settings are of the whole process.
    """
    products = torch.backends.cuda.matmul
    products.allow_bf16_reduced_precision_reduction = False
    products.allow_fp16_reduced_precision_reduction = False
    torch.set_float32_matmul_precision("highest")
