"""Batches on the CPU from encoded Parquet files, read ahead in a thread.

pyarrow decodes column by column. The columns of a window are converted to row-major arrays, and
each batch gathers its rows from them. The row order depends on the seed, the epoch and the row
groups of the files, and not on the batch size or on thread timing.

Legend: N rows of a window.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from plumbline.base.errors import DataError
from plumbline.base.read_ahead import iterate_ahead
from plumbline.columns.values import Lists, concat
from plumbline.dlrm.data.encoded_rows import EncodedColumns, EncodedRows, readable
from plumbline.dlrm.data.loader import Batch, Member, Order
from plumbline.dlrm.data.row_order import SLICE_ROWS, RowGroup, Slice, Window, windows
from plumbline.dlrm.data.shares import Shares
from plumbline.dlrm.model.architecture import Architecture

BATCHES_AHEAD = 8
"""Batches queued ahead, to bridge the reading of the next window."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of one window that are in one batch."""

    window: EncodedRows
    taken_N: NDArray[np.int64]
    """Their indices in the window, in the order of the batch."""
    owner_N: NDArray[np.int64] | None
    """The process that has each of these rows; None if the rows are not divided."""
    ends_batch: bool


class ParquetLoader:
    """A `DataLoader` over encoded Parquet files.

    At most `LANES * SLICE_ROWS` rows (see `plumbline.dlrm.data.row_order`), the queued batches and
    one decoded slice are in memory.

    Parameters
    ----------
    member
        Yield this process' share of every batch; see `plumbline.dlrm.data.shares`.

    Raises
    ------
    DataError
        A file lacks a column or is not readable. While batches are read: also where a column has
        nulls or another type than the plan gives.
    """

    def __init__(
        self,
        files: Sequence[Path],
        architecture: Architecture,
        batch_size: int,
        member: Member | None = None,
    ) -> None:
        self.batch_size = batch_size
        self._member = member
        self.wide_lists = False
        """Whether an id of a list column may need 64 bits."""
        self._columns = EncodedColumns(architecture)
        self._groups: list[RowGroup] = []
        self._wide_ids = False
        for file in files:
            with readable(file):
                metadata = pq.read_metadata(file)
                schema = metadata.schema.to_arrow_schema()
            self._wide_ids |= self._columns.has_wide_ids(file, schema)
            self.wide_lists |= self._columns.has_wide_lists(schema)
            for number in range(metadata.num_row_groups):
                rows = metadata.row_group(number).num_rows
                self._groups.append(RowGroup(file, number, rows))
        self._rows = sum(group.rows for group in self._groups)

    @property
    def rows(self) -> int:
        return self._rows

    def batches(self, order: Order | None = None, skip: int = 0) -> Generator[Batch, None, None]:
        """See `DataLoader.batches`; skipped windows are not converted, nor read if
        possible."""
        return iterate_ahead(partial(self._batches, order, skip), BATCHES_AHEAD)

    def _batches(self, order: Order | None, skip: int) -> Iterator[Batch]:
        shares = self._shares(order)
        parts: list[Batch] = []
        owners: list[NDArray[np.int64]] = []
        for piece in self.pieces(order, skip):
            taken_N = piece.taken_N
            if shares is not None and piece.owner_N is not None:
                owners.append(piece.owner_N)
                taken_N = taken_N[piece.owner_N == shares.member.rank]
            parts.append(piece.window.batch(taken_N))
            if piece.ends_batch:
                share = None if shares is None else shares.share(owners)
                yield replace(_together(parts), share=share)
                parts, owners = [], []
            del piece  # before the next window is read

    def _shares(self, order: Order | None) -> Shares | None:
        return None if self._member is None else Shares.of(self._member, self._groups, order)

    def pieces(
        self, order: Order | None, skip: int, pool: Executor | None = None
    ) -> Iterator[Piece]:
        """The batches' rows in pieces, in order; see `DataLoader.batches`.

        A window stays in memory for as long as one of its pieces does. With a pool, the slices of a
        window are decoded there side by side, while the rows of the window before are taken.
        """
        skipped = min(skip * self.batch_size, self._rows)
        left, missing = self._rows - skipped, self.batch_size
        shares = self._shares(order)
        decode = partial(self._windows, order, skipped, shares, pool)
        with closing(decode() if pool is None else iterate_ahead(decode, 1)) as decoded:
            for rows, lane_N, order_N in decoded:
                start = 0
                while start < len(order_N):
                    taken_N, first = order_N[start : start + missing], self.batch_size - missing
                    owner_N = None if shares is None else shares.owner_N(lane_N, taken_N, first)
                    start += len(taken_N)
                    missing -= len(taken_N)
                    left -= len(taken_N)
                    yield Piece(rows, taken_N, owner_N, ends_batch=not missing or not left)
                    missing = missing or self.batch_size
                del rows  # before the next window is read

    def _windows(
        self, order: Order | None, skipped: int, shares: Shares | None, pool: Executor | None
    ) -> Generator[tuple[EncodedRows, NDArray[np.int64], NDArray[np.int64]], None, None]:
        """Each window, the lanes of its rows, and their order without the first `skipped` rows of
        all."""
        readers: dict[RowGroup, _Reader] = {}
        for window in windows(self._groups, order):
            if skipped >= window.rows:
                skipped -= window.rows
                continue
            rows = self._decoded(window, readers, shares, pool)
            yield rows, window.lane_N, window.permutation(order)[skipped:]
            del rows  # before the next window is read
            skipped = 0

    def _decoded(
        self,
        window: Window,
        readers: dict[RowGroup, _Reader],
        shares: Shares | None,
        pool: Executor | None,
    ) -> EncodedRows:
        """The window's rows, without values where no row is for this process; `readers` holds the
        row groups in progress."""
        rows = self._columns.empty(window.rows, self._wide_ids)
        starts = accumulate((slice_.rows for slice_ in window.slices), initial=0)

        def fill(slice_: Slice, start: int) -> list[list[Lists]]:
            if shares is not None and not shares.has(slice_):
                return [self._columns.empty_lists(slice_.rows)]
            return self._columns.fill(rows, start, self._parts(slice_, readers))

        run = map if pool is None else pool.map
        parts = [part for filled in run(fill, window.slices, starts) for part in filled]
        return replace(rows, bags=tuple(map(concat, zip(*parts, strict=True))))

    def _parts(
        self, slice_: Slice, readers: dict[RowGroup, _Reader]
    ) -> Iterator[tuple[Path, pa.RecordBatch]]:
        """The slice's rows as decoded. A row group has one slice in a window."""
        group = slice_.group
        reader = readers.pop(group, None) or _Reader(group, self._columns.names)
        for part in reader.read(slice_):
            yield group.file, part
        if not slice_.ends_group:
            readers[group] = reader


class _Reader:
    """Decodes the named columns of a row group, from its start to its end."""

    def __init__(self, group: RowGroup, names: Sequence[str]) -> None:
        self._group = group
        with readable(group.file):
            parquet = pq.ParquetFile(group.file, memory_map=True)
            self._decoded = parquet.iter_batches(
                SLICE_ROWS, row_groups=[group.number], columns=names, use_threads=False
            )
        self._held: pa.RecordBatch | None = None
        self._position = 0

    def read(self, slice_: Slice) -> Iterator[pa.RecordBatch]:
        """The rows of a slice; those between the last slice and this one are skipped."""
        for _ in self._next(slice_.start - self._position):
            pass
        yield from self._next(slice_.rows)

    def _next(self, rows: int) -> Iterator[pa.RecordBatch]:
        self._position += rows
        while rows:
            if self._held is None:
                with readable(self._group.file):
                    self._held = next(self._decoded, None)
            if self._held is None:
                raise DataError(
                    f"{self._group.file}: row group {self._group.number} has fewer rows than the "
                    f"{self._group.rows} in its footer. Run the etl stage again."
                )
            part = self._held.slice(0, rows)
            rest = self._held.slice(len(part))
            self._held = rest if len(rest) else None  # an empty slice would keep the whole buffer
            rows -= len(part)
            yield part


def _together(parts: Sequence[Batch]) -> Batch:
    """Concatenate batches."""
    if len(parts) == 1:
        return parts[0]
    return Batch(
        torch.cat([part.ids_BF for part in parts]),
        torch.cat([part.dense_BC for part in parts]),
        torch.cat([part.click_B for part in parts]),
        tuple(_joined(bags) for bags in zip(*(part.bags for part in parts), strict=True)),
    )


def _joined(bags: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Concatenate the lists of all bags: ids_N and offsets_B1."""
    lengths = torch.cat([offsets_B1.diff() for _, offsets_B1 in bags])
    offsets_B1 = torch.zeros(len(lengths) + 1, dtype=torch.int64)
    torch.cumsum(lengths, 0, out=offsets_B1[1:])
    return torch.cat([ids_N for ids_N, _ in bags]), offsets_B1
