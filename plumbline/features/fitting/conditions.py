"""The training rows that a graph keeps: a plan is fitted on them, and a model trained on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from plumbline.base.errors import DataError
from plumbline.columns.kinds import CLICK
from plumbline.columns.rows import TRAIN, Chunk, Rows, RowsOfSource, RowSource
from plumbline.features.lookup.tables import NO_TABLES
from plumbline.features.steps.chains import Chain, Runner


@dataclass(frozen=True, slots=True)
class Conditions:
    """A training row is kept if each of the chains, which learn nothing, gives 1 for it."""

    chains: Sequence[Chain]

    def hold(self, rows: Rows) -> NDArray[np.bool_]:
        """The mask of the rows that are kept, (B,)."""
        columns = {**rows.columns, CLICK: rows.click.astype(np.int64)}
        kept_B = np.ones(len(rows), np.bool_)
        for chain in self.chains:
            kept_B &= Runner(chain, NO_TABLES)(columns) == 1.0
        return kept_B

    def keep(self, rows: Rows) -> Rows:
        return rows.take(self.hold(rows))


class KeptRows(RowsOfSource):
    """The rows of a source, without the training rows that are left out.

    `splits` has the number of rows before that.
    """

    def __init__(self, source: RowSource, conditions: Conditions) -> None:
        super().__init__(source)
        self._conditions = conditions

    def chunks(self, split: str) -> Iterator[Chunk]:
        for chunk in self._source.chunks(split):
            yield partial(self._kept, chunk) if split == TRAIN else chunk

    def _kept(self, chunk: Chunk) -> Rows:
        return self._conditions.keep(chunk())


def kept(source: RowSource, chains: Sequence[Chain]) -> RowSource:
    return KeptRows(source, Conditions(chains)) if chains else source


def require_kept(rows: int) -> None:
    """Raises DataError if no training row is kept."""
    if not rows:
        raise DataError("Filter and Dropna leave out every training row: nothing is left to fit.")
