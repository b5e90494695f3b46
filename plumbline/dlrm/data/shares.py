"""How several processes divide the rows of every batch.

Which rows a batch has does not depend on the number of processes. What each process has of them
follows from the files' footers and the order, so every process knows it of all, no message is
needed, and all have as many batches, whatever the files.

Legend: N rows of a window or of a part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline.dlrm.data import row_order
from plumbline.dlrm.data.loader import Member, Order, Share
from plumbline.dlrm.data.row_order import LANES, RowGroup, Slice

MANY = 4
"""So many windows, and so many row groups a lane, keep lanes busy: they end about together."""


@dataclass(frozen=True, slots=True)
class Shares:
    """The shares of one pass over the rows.

    By lanes, a process has the rows of every n-th lane, and decodes no others: its shares differ a
    little in size. Otherwise it decodes all rows and has every n-th of a batch.
    """

    member: Member
    by_lanes: bool

    @classmethod
    def of(cls, member: Member, groups: Sequence[RowGroup], order: Order | None) -> Shares:
        """By lanes in an order, if all lanes have rows for most of the pass."""
        rows = [group.rows for group in groups if group.rows]
        windows = sum(rows) / (LANES * row_order.SLICE_ROWS)
        busy = len(rows) >= MANY * LANES and windows >= MANY
        return cls(member, order is not None and busy and LANES % member.count == 0)

    def has(self, slice_: Slice) -> bool:
        """Whether this process needs rows of the slice."""
        return not self.by_lanes or slice_.lane % self.member.count == self.member.rank

    def owner_N(
        self, lane_N: NDArray[np.int64], taken_N: NDArray[np.int64], first: int
    ) -> NDArray[np.int64]:
        """The process that has each of the rows `taken_N` of a window.

        Parameters
        ----------
        lane_N
            The lane of every row of the window.
        first
            Position in the batch of the first of these rows.
        """
        if self.by_lanes:
            return lane_N[taken_N] % self.member.count
        return np.arange(first, first + len(taken_N)) % self.member.count

    def share(self, owners: Sequence[NDArray[np.int64]]) -> Share:
        """The share of a batch whose rows have these owners."""
        counts = np.bincount(np.concatenate(owners), minlength=self.member.count)
        return Share(int(counts.sum()), int(counts.max()))
