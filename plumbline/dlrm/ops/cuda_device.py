"""How tensors reach the CUDA kernels: addresses, device and stream.

The emulated kernels of the tests take tensors of the CPU, which have no device to choose and no
stream.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def address(tensor: Tensor | None) -> int:
    """Where its first element lies; 0 for None."""
    return 0 if tensor is None else tensor.data_ptr()


def device_of(tensor: Tensor) -> AbstractContextManager[object]:
    """Makes its device the current one, inside `with`."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()


def stream_of(tensor: Tensor) -> int:
    """The current stream of its device, as the CUDA runtime names it."""
    if not tensor.is_cuda:
        return 0
    stream: int = torch.cuda.current_stream(tensor.device).cuda_stream
    return stream
