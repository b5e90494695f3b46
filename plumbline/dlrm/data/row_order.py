"""The order in which the rows of all files are read and shuffled.

A window is the set of rows in memory at a time, which are shuffled together. With an order, the row
groups of all files are permuted, several are read side by side, and every window has a slice of
each. Rows that were written together are thus spread over many batches, and memory does not grow
with the number of files or row groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plumbline.dlrm.data.loader import Order

LANES = 8
"""Row groups read side by side."""

SLICE_ROWS = 32_768
"""Rows of one lane in a window."""


@dataclass(frozen=True, slots=True, eq=False)
class RowGroup:
    """Row group `number` of a Parquet file; a file that is listed twice gives two objects."""

    file: Path
    number: int
    rows: int


@dataclass(frozen=True, slots=True)
class Slice:
    """Consecutive rows of a row group; slices of one group are read in row order."""

    group: RowGroup
    start: int
    rows: int
    lane: int
    """The lane that reads it, and all slices of its group."""

    @property
    def ends_group(self) -> bool:
        return self.start + self.rows == self.group.rows


@dataclass(frozen=True, slots=True)
class Window:
    """Rows in memory together; `number` is the window's index in the epoch."""

    number: int
    slices: tuple[Slice, ...]

    @property
    def rows(self) -> int:
        return sum(slice_.rows for slice_ in self.slices)

    @property
    def lane_N(self) -> NDArray[np.int64]:
        """The lane that each row is read by, in the order of the slices."""
        lanes = [slice_.lane for slice_ in self.slices]
        return np.repeat(np.array(lanes, np.int64), [slice_.rows for slice_ in self.slices])

    def permutation(self, order: Order | None) -> NDArray[np.int64]:
        """The order of the window's rows; independent of other windows."""
        if order is None:
            return np.arange(self.rows)
        return np.random.default_rng([order.seed, order.epoch, self.number + 1]).permutation(
            self.rows
        )


def windows(groups: Sequence[RowGroup], order: Order | None) -> Iterator[Window]:
    """Cover every row once; without an order, one slice at a time in file order."""
    lanes = 1
    if order is not None:
        lanes = LANES
        drawn = np.random.default_rng([order.seed, order.epoch, 0]).permutation(len(groups))
        groups = [groups[index] for index in drawn]
    waiting = iter([group for group in groups if group.rows])
    rests: list[Slice | None] = [None] * lanes
    number = 0
    while True:
        slices: list[Slice] = []
        for lane in range(lanes):
            rests[lane] = _fill(slices, rests[lane], waiting, lane)
        if not slices:
            return
        yield Window(number, tuple(slices))
        number += 1


def _fill(
    slices: list[Slice], rest: Slice | None, waiting: Iterator[RowGroup], lane: int
) -> Slice | None:
    """Append up to SLICE_ROWS rows of a lane; returns the rest of its last row group, if any."""
    room = SLICE_ROWS
    while room:
        if rest is None:
            group = next(waiting, None)
            if group is None:
                return None
            rest = Slice(group, 0, group.rows, lane)
        taken = min(room, rest.rows)
        slices.append(Slice(rest.group, rest.start, taken, lane))
        room -= taken
        left = rest.rows - taken
        rest = Slice(rest.group, rest.start + taken, left, lane) if left else None
    return rest
