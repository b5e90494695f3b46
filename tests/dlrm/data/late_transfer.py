"""A transfer on the CPU that reads host memory as late as CUDA may."""

from __future__ import annotations

from threading import Lock

import torch
from torch import Tensor

from plumbline.dlrm.data.loader import Batch
from plumbline.dlrm.data.transfer import mapped


class LateTransfer:
    """Implements `Transfer`: copies when somebody waits for the copy, or receives the batch."""

    def __init__(self) -> None:
        self.sent: list[list[torch.dtype]] = []
        """The dtypes of each batch's ids: of the single ones, then of each list column."""
        self.allocated: list[tuple[int, ...]] = []

    def host(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        self.allocated.append(shape)
        return torch.empty(shape, dtype=dtype)

    def send(self, batch: Batch) -> LateSent:
        self.sent.append([batch.ids_BF.dtype, *(ids_N.dtype for ids_N, _ in batch.bags)])
        return LateSent(batch)


class LateSent:
    """Implements `Sent`."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._copy: Batch | None = None
        self._lock = Lock()

    def wait(self) -> None:
        self.receive()

    def receive(self) -> Batch:
        with self._lock:
            if self._copy is None:
                self._copy = mapped(self._batch, _copied)
            return self._copy


def _copied(tensor: Tensor) -> Tensor:
    return tensor.clone() if tensor.is_floating_point() else tensor.to(torch.int64, copy=True)
