"""Wrong ids on a GPU: noted there, so that no step waits to learn whether there are any.

Legend: B rows, F columns with one id a row, N ids of a list column.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from plumbline.dlrm.ops.embedding.contract import (
    BagColumn,
    IdColumns,
    IdOutOfRange,
    offsets_error,
)
from plumbline.dlrm.ops.embedding.reference import require_bag

NONE, ID, OFFSETS = range(3)
"""Kinds of a fault."""


class IdFaults:
    """The first id outside its table, or the first offsets that do not fit, that were shown.

    Attributes
    ----------
    seen
        float32 scalar on the device: 0, and 1 from the first fault on. Optimizers look at it on the
        device, and with 1 leave everything as it is.
    """

    def __init__(self, device: torch.device) -> None:
        self.seen = torch.zeros((), dtype=torch.float32, device=device)
        self._first = torch.zeros(5, dtype=torch.int64, device=device)
        """Kind, position of the column, row of the batch, what was got, cardinality."""

    def look(self, columns: IdColumns) -> IdColumns:
        """Note faults, without waiting; returns columns with right ids in place of wrong ones."""
        ids_BF, cardinality_F = columns.ids_BF, columns.cardinality_F
        if ids_BF.numel():
            outside_BF = (ids_BF < 0) | (ids_BF >= cardinality_F)
            index = outside_BF.flatten().int().argmax(0, keepdim=True)  # of the first one
            column = index % ids_BF.shape[1]
            got = (
                columns.position_F.index_select(0, column),
                index // ids_BF.shape[1],
                ids_BF.flatten().index_select(0, index),
                cardinality_F.index_select(0, column),
            )
            self._note(outside_BF.any(), ID, *got)
            ids_BF = torch.where(outside_BF, 0, ids_BF)
        for bag in columns.bags:
            count = len(bag.ids_N)
            self._note(wrong_offsets(bag), OFFSETS, bag.position, 0, count, 0)
            if count:
                outside_N = _outside(bag)
                index = outside_N.int().argmax(0, keepdim=True)
                row = (bag.offsets_B1 <= index).sum(0, keepdim=True) - 1
                got_1 = bag.ids_N.index_select(0, index)
                self._note(outside_N.any(), ID, bag.position, row, got_1, bag.cardinality)
        return replace(columns, ids_BF=ids_BF, bags=tuple(map(inside, columns.bags)))

    def raise_first(self) -> None:
        """Raise IdOutOfRange or ValueError if a fault was noted; waits for the device."""
        kind, position, row, got, cardinality = self._first.tolist()
        if kind == ID:
            raise IdOutOfRange(position, row, got, cardinality)
        if kind == OFFSETS:
            raise offsets_error(position, got)

    def _note(self, wrong: Tensor, kind: int, *details: Tensor | int) -> None:
        first = torch.cat(
            [
                detail if isinstance(detail, Tensor) else self._first.new_full((1,), detail)
                for detail in (kind, *details)
            ]
        )
        is_first = wrong & (self.seen == 0)
        self._first.copy_(torch.where(is_first, first, self._first))
        self.seen.copy_(torch.maximum(self.seen, wrong.float()))


def usable(bag: BagColumn) -> BagColumn:
    """The bag itself, or an error as in contract.py; on a GPU `inside`, which does not wait."""
    if bag.ids_N.is_cuda:
        return inside(bag)
    require_bag(bag)
    return bag


def inside(bag: BagColumn) -> BagColumn:
    """The bag with id 0 in place of ids outside its table, and offsets that fit its ids."""
    count, offsets_B1 = len(bag.ids_N), bag.offsets_B1
    fitting_B1 = torch.zeros_like(offsets_B1)
    fitting_B1[1:].fill_(count)  # all ids in the first list
    return replace(
        bag,
        ids_N=torch.where(_outside(bag), 0, bag.ids_N),
        offsets_B1=torch.where(wrong_offsets(bag), fitting_B1, offsets_B1),
    )


def wrong_offsets(bag: BagColumn) -> Tensor:
    """Whether the offsets do not rise from 0 to the number of ids: a scalar on the device."""
    offsets_B1 = bag.offsets_B1
    rises = (offsets_B1.diff() >= 0).all()
    return (offsets_B1[0] != 0) | (offsets_B1[-1] != len(bag.ids_N)) | ~rises


def _outside(bag: BagColumn) -> Tensor:
    return (bag.ids_N < 0) | (bag.ids_N >= bag.cardinality)
