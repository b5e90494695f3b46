"""Batches on a device from encoded Parquet files: read ahead, gathered into a ring of host buffers,
and copied beside the device's work.

A pool of threads decodes the next window. A reading thread gathers each batch straight from this
one into the next buffer of the ring and starts its copy. Before it writes to a buffer again, it
waits until the copy has read it. Ids that are int32 in the files cross the bus as int32: 160 bytes
a row for 26 ids, 13 floats and a click.

Legend: B rows, F columns with one id a row, C continuous columns, N ids of a list column.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plumbline.base.read_ahead import THREADS, iterate_ahead
from plumbline.columns.values import Lists, concat
from plumbline.dlrm.data.encoded_rows import EncodedRows
from plumbline.dlrm.data.loader import Batch, Order
from plumbline.dlrm.data.parquet_loader import ParquetLoader, Piece
from plumbline.dlrm.data.row_order import LANES
from plumbline.dlrm.data.transfer import Sent, Transfer
from plumbline.dlrm.ops.embedding.contract import BagIds

BUFFERS = 3
"""Buffers of the ring: one is written while others are copied."""

DECODING = min(LANES, THREADS)
"""Threads that decode Parquet: one a lane, and at most one a core."""

BATCHES_AHEAD = 4
"""Batches queued on the device, to bridge the reading of the next window."""


class DeviceLoader:
    """A `DataLoader` with the batches of a `ParquetLoader`, to the bit, on a transfer's device.

    On the host, up to three windows and the ring are in memory.
    """

    def __init__(self, loader: ParquetLoader, transfer: Transfer) -> None:
        self._loader = loader
        self._transfer = transfer

    @property
    def rows(self) -> int:
        return self._loader.rows

    def batches(self, order: Order | None = None, skip: int = 0) -> Generator[Batch, None, None]:
        """See `DataLoader.batches`."""
        sent = iterate_ahead(partial(self._sent, order, skip), BATCHES_AHEAD)
        with closing(sent):
            for each in sent:
                yield each.receive()

    def _sent(self, order: Order | None, skip: int) -> Iterator[Sent]:
        """Runs in the reading thread."""
        ring = [_Buffer(self._loader, self._transfer) for _ in range(BUFFERS)]
        number = 0
        with ThreadPoolExecutor(DECODING, "decode") as pool:
            for piece in self._loader.pieces(order, skip, pool):
                buffer = ring[number % BUFFERS]
                buffer.add(piece)
                if piece.ends_batch:
                    yield buffer.send()
                    number += 1
                del piece  # before the next window is read


class _Buffer:
    """Host memory of one batch, which is used again for a later batch."""

    def __init__(self, loader: ParquetLoader, transfer: Transfer) -> None:
        self._loader = loader
        self._transfer = transfer
        self._memory: Batch | None = None
        self._rows = 0
        self._bags: list[list[Lists]] = []
        self._list_memory: dict[str, Tensor] = {}
        self._sent: Sent | None = None

    def add(self, piece: Piece) -> None:
        """Append rows of the batch; the first ones wait for the last copy out of this memory."""
        if self._sent is not None:
            self._sent.wait()
            self._sent = None
        if self._memory is None:
            self._memory = self._allocated(piece.window)
        memory = self._memory
        rows = slice(self._rows, self._rows + len(piece.taken_N))
        piece.window.gather(
            piece.taken_N,
            memory.ids_BF[rows].numpy(),
            memory.dense_BC[rows].numpy(),
            memory.click_B[rows].numpy(),
        )
        self._bags.append([bag.take(piece.taken_N) for bag in piece.window.bags])
        self._rows = rows.stop

    def send(self) -> Sent:
        """Start to copy the batch to the device."""
        assert self._memory is not None
        rows, memory = self._rows, self._memory
        bags = [concat(parts) for parts in zip(*self._bags, strict=True)]
        self._sent = self._transfer.send(
            Batch(
                memory.ids_BF[:rows],
                memory.dense_BC[:rows],
                memory.click_B[:rows],
                tuple(self._bag(number, bag) for number, bag in enumerate(bags)),
            )
        )
        self._rows, self._bags = 0, []
        return self._sent

    def _allocated(self, window: EncodedRows) -> Batch:
        rows = min(self._loader.batch_size, self._loader.rows)

        def like(values: NDArray[Any]) -> Tensor:
            dtype = torch.from_numpy(values).dtype
            return self._transfer.host((rows, *values.shape[1:]), dtype)

        return Batch(like(window.ids_BF), like(window.dense_BC), like(window.click_B))

    def _bag(self, number: int, bag: Lists) -> BagIds:
        dtype = torch.int64 if self._loader.wide_lists else torch.int32
        ids_N = self._copy(f"ids {number}", np.asarray(bag.values), dtype)
        return ids_N, self._copy(f"offsets {number}", bag.offsets, torch.int64)

    def _copy(self, name: str, values: NDArray[Any], dtype: torch.dtype) -> Tensor:
        """The values in host memory, which is allocated anew when they are longer than before."""
        memory = self._list_memory.get(name)
        if memory is None or len(memory) < len(values):
            memory = self._transfer.host((len(values) * 5 // 4,), dtype)
            self._list_memory[name] = memory
        copy = memory[: len(values)]
        copy.numpy()[...] = values
        return copy
