"""The device and stream that CUDA kernels run on.

The emulated kernels of the tests take CPU tensors, which have no device to select and no stream.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def device_of(tensor: Tensor) -> AbstractContextManager[object]:
    """A context in which the tensor's device is the current one."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()


def stream_of(tensor: Tensor) -> int:
    """The CUDA runtime's handle of the current stream of the tensor's device; 0 on a CPU."""
    if not tensor.is_cuda:
        return 0
    stream: int = torch.cuda.current_stream(tensor.device).cuda_stream
    return stream
