"""Sorts typed rows by time, also more rows than fit into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.columns.from_arrow import frame_from_arrow
from plumbline.rawlogs.convert import TIME
from plumbline.rawlogs.parts import TypedRows

_SORTED_ROWS = 100_000


def times_of(parts: Sequence[TypedRows]) -> NDArray[np.float64]:
    """The time of every row in seconds, float64 (N,), in the original order."""
    return _times([part.read() for part in parts])


def _times(tables: Sequence[pa.Table]) -> NDArray[np.float64]:
    return np.concatenate([table[TIME].to_numpy() for table in tables])


def sorted_by_time(
    parts: Sequence[TypedRows], rows_at_once: int = _SORTED_ROWS
) -> Iterator[pl.DataFrame]:
    """All rows by time; rows of equal time stay in their original order.

    Memory holds 16 bytes per row for the order, and the rows of one chunk.
    """
    tables = [part.read() for part in parts]
    order = np.argsort(_times(tables), kind="stable")
    starts = np.cumsum([0, *(part.rows for part in parts)])
    for first in range(0, len(order), rows_at_once):
        yield frame_from_arrow(_gather(tables, starts, order[first : first + rows_at_once]))


def _gather(
    tables: Sequence[pa.Table], starts: NDArray[np.int64], rows: NDArray[np.int64]
) -> pa.Table:
    """The rows with these numbers, in this order; each table is read in its own order."""
    ascending = np.sort(rows)
    bounds = np.searchsorted(ascending, starts)
    parts = [
        table.take(pa.array(ascending[low:high] - start))
        for table, start, low, high in zip(tables, starts, bounds, bounds[1:], strict=False)
        if high > low
    ]
    positions = np.searchsorted(ascending, rows)
    return pa.concat_tables(parts).combine_chunks().take(pa.array(positions))
