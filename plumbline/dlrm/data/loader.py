"""Batches of training rows: columns in plan order, rows in an order set by a seed.

Legend: B rows, F columns with one id a row, C continuous columns.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from plumbline.dlrm.ops.embedding.contract import BagIds


@dataclass(frozen=True, slots=True)
class Member:
    """One of `count` processes that divide every batch among them."""

    rank: int
    count: int


@dataclass(frozen=True, slots=True)
class Share:
    """What one process has of a batch that several have divided."""

    rows: int
    """Rows of the whole batch."""
    longest: int
    """Rows of the process that has the most."""


@dataclass(frozen=True, slots=True)
class Batch:
    """ids_BF: int64 (B, F); dense_BC: float32 (B, C); click_B: float32 (B,); on one device.

    `bags` has the list columns in plan order, as `DLRM` takes them. With a `share`, the tensors
    have the rows of this process only, maybe none.
    """

    ids_BF: Tensor
    dense_BC: Tensor
    click_B: Tensor
    bags: tuple[BagIds, ...] = ()
    share: Share | None = None

    def __len__(self) -> int:
        """Rows of the whole batch."""
        return len(self.click_B) if self.share is None else self.share.rows


@dataclass(frozen=True, slots=True)
class Order:
    """One epoch's row order; equal values give exactly the same order."""

    seed: int
    epoch: int


class DataLoader(Protocol):
    """Encoded rows in batches of one size; can be read any number of times."""

    @property
    def rows(self) -> int:
        """Rows of an epoch."""

    def batches(self, order: Order | None = None, skip: int = 0) -> Generator[Batch, None, None]:
        """Yield every row once, in batches; the last batch may be smaller.

        Closing the generator ends its reading thread. No global random state is read or written.

        Parameters
        ----------
        order
            None keeps the rows in the order of the files.
        skip
            Batches to skip at the start, when an epoch is resumed.
        """
