"""What the device reaches in a copy and in a matrix product: bounds for all other times."""

from __future__ import annotations

import torch

from benchmarks.gpu_check.place import Place, median
from benchmarks.gpu_check.report import Report

COPY_BYTES, SMALL_COPY_BYTES = 8 << 30, 8 << 20
"""Read and written together."""
PRODUCT, SMALL_PRODUCT = 8192, 128


def check(place: Place, report: Report) -> None:
    """Measure; fails only if a product is wrong."""
    size = SMALL_COPY_BYTES if place.is_small else COPY_BYTES
    times = place.copy_microseconds(size)
    report.case(f"copy, {size >> 20:,} MiB read and written", "µs", {"ours": times})
    report.note(f"A copy moves {size / median(times) / 1e6:.3g} TB/s; 4.3 was seen on an H200.")
    for dtype in (torch.bfloat16, torch.float16):
        _product(place, report, dtype)


def _product(place: Place, report: Report, dtype: torch.dtype) -> None:
    size = SMALL_PRODUCT if place.is_small else PRODUCT
    factor = torch.ones(size, size, dtype=dtype, device=place.device)
    out = torch.empty_like(factor)
    times = place.microseconds(lambda: torch.mm(factor, factor, out=out))
    assert bool((out == size).all()), f"a product of ones in {dtype} is not {size}"
    report.checked()
    name = str(dtype).removeprefix("torch.")
    report.case(f"{size:,}³ product, {name}", "µs", {"ours": times})
    rate = 2 * size**3 / median(times) / 1e6
    report.note(f"A product in {name} makes {rate:.3g} TFLOP/s; 790 was seen on an H200.")
