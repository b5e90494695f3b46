"""Batches from the Merlin dataloader: columns in plan order, rows in an order set by a seed.

Merlin's own shuffling is off. It never permutes the partitions (its queue copies their order before
they are shuffled), it draws rows from NumPy's global random state inside a thread, and on a GPU it
reseeds itself. Here each epoch has its own generator, seeded by seed and epoch. It permutes the
partitions, then the rows of every chunk of partitions, including rows left over from the chunk
before. The order depends on the seed, the epoch, the data set's partitions and the batch size.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plumbline.base.device import Device
from plumbline.base.errors import DataError
from plumbline.base.merlin_imports import merlin_imports, require_no_query_planner
from plumbline.columns.kinds import CLICK
from plumbline.columns.values import offsets_of
from plumbline.dlrm.data.loader import Batch, Order
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.ops.embedding.contract import BagIds

with merlin_imports():
    from merlin.dataloader.torch import Loader

PARTITIONS_PER_CHUNK = 4
"""Partitions in memory at a time, whose rows are shuffled together."""

LIST_SUFFIXES = ("__values", "__offsets")
"""Suffixes that Merlin gives to the two parts of a list column."""

QUEUE_WAIT = 0.05
"""Seconds between two checks of the reading thread for a stop. Merlin's default of 1 µs keeps a
core busy while the queue is full."""


class MerlinLoader:
    """A `DataLoader` over a Merlin data set, with batches on any device.

    Parameters
    ----------
    dataset
        A `merlin.io.Dataset` with a schema: the architecture's columns and the label `click`.

    Raises
    ------
    DataError
        The data set has other columns than the architecture and the label.
    PlumblineError
        Dask's data frames were imported with the query planner.
    """

    def __init__(
        self, dataset: Any, architecture: Architecture, batch_size: int, device: Device
    ) -> None:
        require_no_query_planner()
        wanted = {*architecture.categorical, *architecture.continuous, CLICK}
        got = set(dataset.schema.column_names)
        if got != wanted:
            raise DataError(
                "Encoded rows: wanted the model's columns and the label, but the schema lacks "
                f"{sorted(wanted - got)} and has besides {sorted(got - wanted)}. Run etl again."
            )
        self._dataset = dataset
        self._architecture = architecture
        self._batch_size = batch_size
        self._device = device

    @property
    def rows(self) -> int:
        return int(self._dataset.num_rows)

    def batches(self, order: Order | None = None, skip: int = 0) -> Generator[Batch, None, None]:
        """See `DataLoader.batches`."""
        loader = _SeededLoader(self._dataset, self._batch_size, order)
        try:
            # Batches are counted: after the last one, or without rows, the loader's next() can
            # block forever.
            for position in range(len(loader)):
                columns, click = next(loader)
                if position >= skip:
                    yield _batch(columns, click, self._architecture, self._device)
        finally:
            loader.stop()


class _SeededLoader(Loader):
    """The Merlin loader with partitions and rows permuted by one generator.

    The constructor uses the generator first; after that only the reading thread does.
    """

    def __init__(self, dataset: Any, batch_size: int, order: Order | None) -> None:
        super().__init__(dataset, batch_size, shuffle=False, parts_per_chunk=PARTITIONS_PER_CHUNK)
        self._generator: np.random.Generator | None = None
        if order is not None:
            self._generator = np.random.default_rng([order.seed, order.epoch])
            self.indices = self._generator.permutation(dataset.npartitions)
        self._buff.put_wait = QUEUE_WAIT

    def make_tensors(self, gdf: Any, use_row_lengths: bool = False) -> Any:
        """Called by the reading thread with each chunk, in order."""
        if self._generator is not None:
            gdf = gdf.take(self._generator.permutation(len(gdf)))
        return super().make_tensors(gdf, use_row_lengths)

    def _convert_df_to_tensors(self, gdf: Any) -> Any:
        """A chunk's columns as tensors: name to values, or (values, offsets) of a list column.

        Merlin's own method fails on a list column without elements; it is still used on a GPU.
        """
        if self.device != "cpu":
            return super()._convert_df_to_tensors(gdf)
        schema = self.input_schema
        return {
            name: _flattened(gdf[name]) if schema[name].is_list else gdf[name].to_numpy()
            for name in schema.column_names
        }


def _flattened(lists: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All elements of a pandas column of arrays, and the rows' offsets among them."""
    rows = lists.to_numpy()
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    return np.concatenate([np.empty(0, np.int64), *rows]), offsets_of(lengths)


def _batch(
    columns: dict[str, Tensor], click: Tensor, architecture: Architecture, device: Device
) -> Batch:
    rows = len(click)
    return Batch(
        _together(columns, architecture.single, rows, torch.int64).to(device),
        _together(columns, architecture.continuous, rows, torch.float32).to(device),
        click.reshape(rows).to(device, torch.float32),
        tuple(_bag(columns, name, device) for name in architecture.bags),
    )


def _bag(columns: dict[str, Tensor], name: str, device: Device) -> BagIds:
    ids_N, offsets_B1 = (columns[name + suffix] for suffix in LIST_SUFFIXES)
    return ids_N.to(device, torch.int64), offsets_B1.to(device, torch.int64)


def _together(
    columns: dict[str, Tensor], names: tuple[str, ...], rows: int, dtype: torch.dtype
) -> Tensor:
    """The named columns side by side, (B, number of names)."""
    if not names:
        return torch.empty(rows, 0, dtype=dtype)
    return torch.stack([columns[name].reshape(rows).to(dtype) for name in names], dim=1)
