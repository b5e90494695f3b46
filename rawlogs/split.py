"""Which split each row goes to: whole files, shares in row order, in time order, or by hash."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from features.errors import DataError
from features.settings import Config, FileSplit, ShareSplit
from rawlogs.parts import TypedRows, as_frame
from rawlogs.values import TIME

SPLITS = ("train", "valid", "test")
TRAIN, VALID, TEST = range(3)

_SORTED_ROWS = 100_000
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


class Assignment(Protocol):
    """Rows are numbered from 0 in the order in which they are written."""

    def __call__(self, first: int, count: int, file: int) -> NDArray[np.int8]:
        """The splits, as positions in `SPLITS`, of `count` rows from `first` on, all of one file.

        Returns int8 (count,).
        """


def check_files(config: Config, files: Sequence[Path]) -> None:
    """Raises DataError where the split names files that are not there."""
    split = config.split
    if not isinstance(split, FileSplit):
        return
    count = len(files)
    for name, positions in (("valid", split.valid), ("test", split.test)):
        for position in positions:
            if not 0 <= position < count:
                raise DataError(
                    f"split.{name} names file {position}, but the log has {count} "
                    f"({', '.join(file.name for file in files)}): wanted 0 to {count - 1}."
                )
    if len({*split.valid, *split.test}) == count:
        raise DataError(
            f"split by file: valid and test take all of the log's {count} files, "
            "so that none is left to train on."
        )


def assignment(config: Config, rows: int) -> Assignment:
    """How `rows` rows are split; rows of a split by time have to be sorted before."""
    if isinstance(config.split, FileSplit):
        return _ByFile(config.split)
    if config.split.by == "hash":
        return _ByHash(config.split, config.seed)
    return _InOrder(config.split, rows)


class _ByFile:
    def __init__(self, split: FileSplit) -> None:
        self._split_of = {
            **dict.fromkeys(split.valid, VALID),
            **dict.fromkeys(split.test, TEST),
        }

    def __call__(self, first: int, count: int, file: int) -> NDArray[np.int8]:
        return np.full(count, self._split_of.get(file, TRAIN), np.int8)


class _InOrder:
    """Train first, then valid, then test."""

    def __init__(self, split: ShareSplit, rows: int) -> None:
        test, valid = round(split.test * rows), round(split.valid * rows)
        self._bounds = (rows - test - valid, rows - test)

    def __call__(self, first: int, count: int, file: int) -> NDArray[np.int8]:
        places = np.arange(first, first + count)
        return np.searchsorted(self._bounds, places, side="right").astype(np.int8)


class _ByHash:
    """Each row by itself, from the seed and its number: SplitMix64, its top 53 bits as a share."""

    def __init__(self, split: ShareSplit, seed: int) -> None:
        self._test, self._valid = split.test, split.valid
        self._start = _mix(np.array([seed & (2**64 - 1)], np.uint64))[0]

    def __call__(self, first: int, count: int, file: int) -> NDArray[np.int8]:
        numbers = np.arange(first, first + count, dtype=np.uint64)
        share = (_mix(self._start ^ numbers) >> np.uint64(11)) * 2.0**-53
        splits = np.full(count, TRAIN, np.int8)
        splits[share < self._test + self._valid] = VALID
        splits[share < self._test] = TEST
        return splits


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One SplitMix64 step; uint64 arrays wrap around."""
    values = values + _GOLDEN
    values = (values ^ (values >> np.uint64(30))) * _MIX_1
    values = (values ^ (values >> np.uint64(27))) * _MIX_2
    return values ^ (values >> np.uint64(31))


def sorted_by_time(
    parts: Sequence[TypedRows], rows_at_once: int = _SORTED_ROWS
) -> Iterator[pl.DataFrame]:
    """All rows by time, rows of one time in their old order.

    Held in memory are 16 bytes a row for the order, and the rows of one portion.
    """
    tables = [part.read() for part in parts]
    times = np.concatenate([table[TIME].to_numpy() for table in tables])
    order = np.argsort(times, kind="stable")
    starts = np.cumsum([0, *(part.rows for part in parts)])
    for first in range(0, len(order), rows_at_once):
        yield as_frame(_gather(tables, starts, order[first : first + rows_at_once]))


def _gather(
    tables: Sequence[pa.Table], starts: NDArray[np.int64], rows: NDArray[np.int64]
) -> pa.Table:
    """The rows of those numbers, in that order; each table is read in its own order."""
    ascending = np.sort(rows)
    bounds = np.searchsorted(ascending, starts)
    pieces = [
        table.take(pa.array(ascending[low:high] - start))
        for table, start, low, high in zip(tables, starts, bounds, bounds[1:], strict=False)
        if high > low
    ]
    places = np.searchsorted(ascending, rows)
    return pa.concat_tables(pieces).combine_chunks().take(pa.array(places))
