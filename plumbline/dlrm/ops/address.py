"""Addresses of tensors, as native code takes them."""

from __future__ import annotations

from torch import Tensor


def address(tensor: Tensor | None) -> int:
    """Address of the first element; 0 for None."""
    return 0 if tensor is None else tensor.data_ptr()
