"""Vocabularies: the values of a column, of several that share one, or their combinations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from plumbline.columns.keys import is_all_missing, pack, text_array, unpack
from plumbline.columns.values import Lists, Text, Values
from plumbline.features.fitting.accumulator import Accumulator, Target
from plumbline.features.fitting.counting import IntegerCounter, TextCounter
from plumbline.features.fitting.fitted import categorify
from plumbline.features.operators import Categorify
from plumbline.features.plan.chains import Source
from plumbline.features.plan.unfitted import FitCategorify


class ValueCounts(Accumulator):
    """Counts the values of every source together; a list's values one by one."""

    def __init__(self, step: FitCategorify, sources: tuple[Source, ...], is_text: bool) -> None:
        super().__init__(step.shared or sources)
        self._step = step
        self._counter = TextCounter() if is_text else IntegerCounter()

    def add(self, chunk: int, values: Sequence[Values]) -> None:
        for column in values:
            self._counter.add(column.values if isinstance(column, Lists) else column)  # type: ignore[arg-type]

    def finish(self, target: Target) -> Categorify:
        step = self._step
        values, count = self._counter.counts(max(step.frequency_threshold, 1), step.limit)
        del self._counter  # a gigabyte for 40 million values, and writing them takes its own
        array = text_array(values) if isinstance(values, Text) else pa.array(values)
        return _written(step, target, [array], count)


class CombinationCounts(Accumulator):
    """Counts combinations of the sources' values, those apart of which every part is missing."""

    def __init__(self, step: FitCategorify, sources: tuple[Source, ...]) -> None:
        super().__init__(sources)
        self._step = step
        self._counter = TextCounter()

    def add(self, chunk: int, values: Sequence[Values]) -> None:
        missing = is_all_missing(values)
        keys = pack(values)
        self._counter.add(keys.take(~missing) if missing.any() else keys)

    def finish(self, target: Target) -> Categorify:
        keys, count = self._counter.counts(max(self._step.frequency_threshold, 1), None)
        parts = unpack(keys, [type_.element == "text" for type_ in target.types])
        order = _order(parts, count)[: self._step.limit]
        return _written(self._step, target, [part.take(order) for part in parts], count[order])


def _order(parts: Sequence[pa.Array], count: NDArray[np.int64]) -> NDArray[np.int64]:
    """By count descending, on ties by the parts from left to right, missing ones first."""
    names = [f"{place}" for place in range(len(parts))]
    table = pa.table([pa.array(-count), *parts], names=["count", *names])
    keys = [(name, "ascending") for name in table.column_names]
    order = pc.sort_indices(table, sort_keys=keys, null_placement="at_start")
    return np.asarray(order, dtype=np.int64)


def _written(
    step: FitCategorify, target: Target, parts: Sequence[pa.Array], count: NDArray[np.int64]
) -> Categorify:
    return categorify(
        target.folder,
        target.output,
        parts,
        count,
        frequency_threshold=step.frequency_threshold,
        limit=step.limit,
        num_buckets=step.num_buckets,
        sources=target.columns,
    )
