"""A sample of the raw training rows, kept as an engine reads them, and the reference made of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.rows import TRAIN, Chunk, Rows, RowsOfSource, RowSource
from plumbline.features.drift.reference import Reference
from plumbline.features.encoding.encoder import Encoder
from plumbline.features.encoding.request import positions_of_columns, request_of_columns
from plumbline.features.plan.plan import Plan

SAMPLE_ROWS = 100_000
SAMPLE_CELLS = 20_000_000
"""Most rows of a sample, and values of all its columns together."""

CHUNKS_READ = 16
"""Most chunks that are read for the sample alone."""


class TrainingRows(RowsOfSource):
    """A row source that keeps some of its training rows, evenly spread, as they are read.

    An engine that reads it here leaves the sample behind. Of one that reads elsewhere (NVTabular,
    the tasks of Spark), `sample` reads up to `CHUNKS_READ` evenly spread chunks itself.
    """

    def __init__(self, source: RowSource) -> None:
        super().__init__(source)
        self._kept: dict[int, Rows] = {}
        """By the number of the chunk."""
        rows = min(SAMPLE_ROWS, SAMPLE_CELLS // max(1, len(source.kinds)))
        self._step = max(1, source.splits[TRAIN] // rows)

    def chunks(self, split: str) -> Iterator[Chunk]:
        """See `plumbline.columns.rows.RowSource.chunks`."""
        chunks = self._source.chunks(split)
        if split != TRAIN:
            return chunks
        return (partial(self._read, number, chunk) for number, chunk in enumerate(chunks))

    def _read(self, number: int, chunk: Chunk) -> Rows:
        rows = chunk()
        if number not in self._kept:
            self._kept[number] = rows.take(np.arange(0, len(rows), self._step))
        return rows

    def sample(self) -> Rows:
        """The kept rows, in their order."""
        if not self._kept:
            chunks = sum(1 for _ in self._source.chunks(TRAIN))
            every = -(-chunks // CHUNKS_READ)
            self._step = max(1, self._step // every)
            for number, chunk in enumerate(self.chunks(TRAIN)):
                if number % every == 0:
                    chunk()
        return Rows.concat([self._kept[number] for number in sorted(self._kept)])


def reference_of(plan: Plan, rows: Rows, keep_negatives: float = 1.0) -> Reference:
    """The reference of raw rows, encoded as served rows are.

    If the training split has only the share `keep_negatives` of the rows without a click, the same
    share of those with one is counted, so that the rows are like those that a server gets.
    """
    if keep_negatives < 1.0:
        rows = rows.take(_as_served(rows.click, keep_negatives))
    chains = [column.chain for column in plan.outputs]
    positions = positions_of_columns(plan.kinds)
    encoder = Encoder(plan.outputs, chains, plan.tables(), plan.kinds, positions)
    request = request_of_columns(rows.columns, plan.kinds)
    encoded = encoder.encode(request, rows.columns, len(rows))
    raw = [name for name, kind in plan.kinds.items() if kind == "continuous"]
    return Reference.of(
        plan, lambda position: cast(NDArray[np.float32], rows.columns[raw[position]]), encoded
    )


def _as_served(click_B: NDArray[np.int8], share: float) -> NDArray[np.bool_]:
    """The mask of the rows without a click, and of a share of the others, evenly spread.

    >>> _as_served(np.array([1, 0, 1, 1, 1], np.int8), 0.5).tolist()
    [False, True, True, False, True]
    """
    number_B = np.cumsum(click_B)
    is_kept_B: NDArray[np.bool_] = np.floor(number_B * share) > np.floor((number_B - 1) * share)
    is_kept_B[click_B == 0] = True
    return is_kept_B
