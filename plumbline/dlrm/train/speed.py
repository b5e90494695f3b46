"""The precision in which the layers' products are the fastest here, by torch's libraries."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

import torch

from plumbline.base.fastest import Times, preferred, times_of
from plumbline.dlrm.ops.dtypes import DTYPES

Products = Literal["fp32", "bf16"]

PRECISIONS: tuple[Products, ...] = ("fp32", "bf16")
"""The exact one is preferred."""

ROWS, WIDTH = 512, 512
"""The measured work: one layer's product and its two gradients."""


def fastest_products() -> Products:
    """fp32, unless bf16 is clearly faster with torch's current number of threads."""
    chosen = preferred(products_times(), PRECISIONS)
    return "bf16" if chosen == "bf16" else "fp32"


def products_times() -> Times:
    """Precision to the milliseconds of the three products."""

    def prepare(precision: str) -> Callable[[], None]:
        dtype = DTYPES["bf16" if precision == "bf16" else "fp32"]
        x_BI, gradient_BO = torch.full((2, ROWS, WIDTH), 0.01, dtype=dtype)
        weight_OI = torch.full((WIDTH, WIDTH), 0.01, dtype=dtype)

        def call() -> None:
            torch.mm(x_BI, weight_OI.T)
            torch.mm(gradient_BO, weight_OI)
            torch.mm(gradient_BO.T, x_BI)

        return call

    build = {"torch": torch.__version__, "threads": torch.get_num_threads()}
    return times_of("products", build, PRECISIONS, prepare, time.process_time)
