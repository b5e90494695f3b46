"""Copies of batches from host memory to a device, which run beside the device's other work.

The copies of CUDA have not run on a device yet.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from plumbline.dlrm.data.loader import Batch


class Sent(Protocol):
    """A batch on its way to the device."""

    def wait(self) -> None:
        """Return when the host memory was read and may be overwritten."""

    def receive(self) -> Batch:
        """The batch on the device, for work that this thread queues from now on; does not wait.

        Its ids are int64, whatever integers were sent.
        """


class Transfer(Protocol):
    """Host memory to copy from, and the copies. One thread sends, another one receives."""

    def host(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Uninitialised memory on the host."""

    def send(self, batch: Batch) -> Sent:
        """Start to copy a batch, whose tensors are parts of `host` memory; does not wait."""


class CudaTransfer:
    """Implements `Transfer` for the current CUDA device: pinned memory, and a stream of its own."""

    @cached_property
    def _stream(self) -> torch.cuda.Stream:
        return torch.cuda.Stream()

    def host(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.empty(shape, dtype=dtype, pin_memory=True)

    def send(self, batch: Batch) -> CudaSent:
        with torch.cuda.stream(self._stream):
            copy = mapped(batch, self._copied)
            return CudaSent(copy, self._stream.record_event(torch.cuda.Event(blocking=True)))

    def _copied(self, tensor: Tensor) -> Tensor:
        copy = tensor.to(self._stream.device, non_blocking=True)
        return copy if copy.is_floating_point() else copy.long()


class CudaSent:
    """Implements `Sent`: the batch on the device, and the event after its copies."""

    def __init__(self, batch: Batch, copied: torch.cuda.Event) -> None:
        self._batch = batch
        self._copied = copied

    def wait(self) -> None:
        self._copied.synchronize()

    def receive(self) -> Batch:
        stream = torch.cuda.current_stream(self._batch.click_B.device)
        stream.wait_event(self._copied)
        for tensor in tensors_of(self._batch):
            tensor.record_stream(stream)  # the allocator knows of the copying stream only
        return self._batch


def tensors_of(batch: Batch) -> list[Tensor]:
    """All tensors of a batch."""
    lists = [tensor for bag in batch.bags for tensor in bag]
    return [batch.ids_BF, batch.dense_BC, batch.click_B, *lists]


def mapped(batch: Batch, function: Callable[[Tensor], Tensor]) -> Batch:
    """A batch of what the function makes of each tensor."""
    return Batch(
        function(batch.ids_BF),
        function(batch.dense_BC),
        function(batch.click_B),
        tuple((function(ids_N), function(offsets_B1)) for ids_N, offsets_B1 in batch.bags),
    )
