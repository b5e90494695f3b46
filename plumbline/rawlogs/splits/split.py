"""Assigns rows to splits: by file, by shares in row or time order, or by a hash of the row's number
or of a column's value. Some rows are in no split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from plumbline.base.errors import DataError
from plumbline.columns.splitmix64 import splitmix64
from plumbline.rawlogs.splits.groups import NO_GROUP
from plumbline.settings import Config, FileSplit, GroupSplit, ShareSplit, TimeSplit

SPLITS = ("train", "valid", "test")
TRAIN, VALID, TEST = range(3)

LEFT_OUT = ("no_split", "gap", "negatives")
"""Why a row is in no split: it is beyond the shares or in no split's file; it is in a time gap; it
has no click and `keep_negatives` drops it from the training split."""
NO_SPLIT, GAP, NEGATIVES = range(3, 6)

_NEGATIVES_SALT = 0x6E65676174697665
"""Makes the draw of negatives independent of the draw of splits."""


@dataclass(frozen=True, slots=True)
class RowSpan:
    """Consecutive rows of one file, with all that their splits depend on."""

    first: int
    """Number of the first row; rows are numbered from 0 in the order of the splits' output."""
    file: int
    """Index of their file in the log."""
    click: NDArray[np.int8]
    """(B,), 0 or 1."""
    group: NDArray[np.uint64] | None = None
    """(B,), if the split is by group: see `plumbline.rawlogs.splits.groups.group_of`."""

    def __len__(self) -> int:
        return len(self.click)

    @property
    def numbers(self) -> NDArray[np.uint64]:
        return np.arange(self.first, self.first + len(self), dtype=np.uint64)


class Assignment(Protocol):
    def __call__(self, rows: RowSpan) -> NDArray[np.int8]:
        """The rows' splits as indices into `(*SPLITS, *LEFT_OUT)`.

        Returns int8 (B,).
        """


def check_files(config: Config, files: Sequence[Path]) -> None:
    """Raises DataError if the split names files that the log does not have."""
    split = config.split
    if not isinstance(split, FileSplit):
        return
    count = len(files)
    for name in SPLITS:
        for position in getattr(split, name) or ():
            if not 0 <= position < count:
                raise DataError(
                    f"split.{name} names file {position}, but the log has {count} "
                    f"({', '.join(file.name for file in files)}): wanted 0 to {count - 1}."
                )
    if len({*split.valid, *split.test}) == count:
        raise DataError(
            f"split by file: valid and test take all of the log's {count} files, "
            "so none is left to train on."
        )


def assignment(config: Config, rows: int, times: NDArray[np.float64] | None = None) -> Assignment:
    """The assignment of a log with `rows` rows.

    For a split by time, rows must be passed in the order of time. If it has a gap, it needs
    `times`, the rows' times in seconds, float64 (rows,), in any order.
    """
    split = config.split
    assign: Assignment
    if isinstance(split, FileSplit):
        assign = _ByFile(split)
    elif isinstance(split, TimeSplit):
        assign = _InOrder(split, rows, split.gap, times)
    elif isinstance(split, GroupSplit) or split.by == "hash":
        assign = _ByHash(split, config.seed)
    else:
        assign = _InOrder(split, rows)
    if split.keep_negatives is None:
        return assign
    return _WithFewerNegatives(assign, split.keep_negatives, config.seed)


class _ByFile:
    def __init__(self, split: FileSplit) -> None:
        self._others = TRAIN if split.train is None else NO_SPLIT
        self._split_of = {
            **dict.fromkeys(split.train or (), TRAIN),
            **dict.fromkeys(split.valid, VALID),
            **dict.fromkeys(split.test, TEST),
        }

    def __call__(self, rows: RowSpan) -> NDArray[np.int8]:
        return np.full(len(rows), self._split_of.get(rows.file, self._others), np.int8)


class _InOrder:
    """First the rows beyond the shares, then train, valid and test, the last two after gaps."""

    _SPLITS = np.array([NO_SPLIT, TRAIN, GAP, VALID, GAP, TEST], np.int8)

    def __init__(
        self,
        split: ShareSplit | TimeSplit,
        rows: int,
        gap: float = 0.0,
        times: NDArray[np.float64] | None = None,
    ) -> None:
        test, valid = round(split.test * rows), round(split.valid * rows)
        train_end, valid_end = rows - test - valid, rows - test
        first_valid, first_test = train_end, valid_end
        train = split.train_share
        first_train = 0 if train is None else max(train_end - round(train * rows), 0)
        if gap > 0.0:
            if times is None:
                raise ValueError("a split with a gap needs the rows' times")
            valid_end = min(valid_end, _rows_before(times, first_test, gap))
            train_end = min(train_end, _rows_before(times, first_valid, gap), valid_end)
        bounds = (first_train, train_end, first_valid, valid_end, first_test)
        self._bounds = np.maximum.accumulate(bounds)

    def __call__(self, rows: RowSpan) -> NDArray[np.int8]:
        positions = np.arange(rows.first, rows.first + len(rows))
        return self._SPLITS[np.searchsorted(self._bounds, positions, side="right")]


def _rows_before(times: NDArray[np.float64], row: int, gap: float) -> int:
    """The number of rows more than `gap` older than row `row` in the order of time."""
    if row >= len(times):
        return len(times)
    return int(np.count_nonzero(times < np.partition(times, row)[row] - gap))


class _ByHash:
    """By SplitMix64 of the seed and a row's number or group; its top 53 bits are the share."""

    def __init__(self, split: ShareSplit | GroupSplit, seed: int) -> None:
        self._test, self._valid = split.test, split.valid
        self._train = split.train_share
        self._start = _start(seed)

    def __call__(self, rows: RowSpan) -> NDArray[np.int8]:
        keys = rows.numbers
        if rows.group is not None:
            keys = np.where(rows.group == NO_GROUP, keys, rows.group)
        share = _shares(self._start, keys)
        splits = np.full(len(rows), TRAIN, np.int8)
        if self._train is not None:
            splits[share >= self._test + self._valid + self._train] = NO_SPLIT
        splits[share < self._test + self._valid] = VALID
        splits[share < self._test] = TEST
        return splits


class _WithFewerNegatives:
    """Another assignment that keeps only a share of the training rows without a click."""

    def __init__(self, assign: Assignment, kept: float, seed: int) -> None:
        self._assign, self._kept = assign, kept
        self._start = splitmix64(np.array([_start(seed) ^ np.uint64(_NEGATIVES_SALT)]))[0]

    def __call__(self, rows: RowSpan) -> NDArray[np.int8]:
        splits = self._assign(rows)
        is_dropped = (splits == TRAIN) & (rows.click == 0)
        is_dropped &= _shares(self._start, rows.numbers) >= self._kept
        splits[is_dropped] = NEGATIVES
        return splits


def _start(seed: int) -> np.uint64:
    start: np.uint64 = splitmix64(np.array([seed & (2**64 - 1)], np.uint64))[0]
    return start


def _shares(start: np.uint64, keys: NDArray[np.uint64]) -> NDArray[np.float64]:
    """A number in [0, 1) for each key."""
    shares: NDArray[np.float64] = (splitmix64(start ^ keys) >> np.uint64(11)) * 2.0**-53
    return shares
