"""A survey of a split's encoded columns: ranges, missing and unseen ids, and samples of rows.

It makes one pass over the encoded files, in blocks, and imports no torch. Legend: B rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from plumbline.base.errors import DataError
from plumbline.columns.kinds import CLICK
from plumbline.columns.parquet import read_batches
from plumbline.columns.values import Lists, concat
from plumbline.features.plan.plan import OutputColumn

BLOCK_ROWS = 65_536

SAMPLE_ROWS = 100_000
SAMPLE_CELLS = 20_000_000
"""Largest sample of a split: rows, and values of all columns together."""

SPREAD_ROWS = 20_000
"""About as many rows of a split, evenly spread, are compared with those of another split."""

LARGEST_NUMBER = 1e12
"""Larger numbers overflow float32 inside the model, which squares sums of them."""


@dataclass(slots=True)
class NumberRange:
    """Range of a column's finite numbers, or of its ids."""

    low: float = float("inf")
    high: float = float("-inf")

    @property
    def is_constant(self) -> bool:
        return self.low == self.high

    @property
    def largest(self) -> float:
        """The largest magnitude."""
        return max(abs(self.low), abs(self.high)) if self.low <= self.high else 0.0

    def add(self, values: NDArray[Any]) -> tuple[float, float]:
        """Extend the range by one or more values; returns their minimum and maximum, NaN if any."""
        low, high = float(values.min()), float(values.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        return low, high


@dataclass(slots=True)
class Ids(NumberRange):
    """Range and counts of a column's ids, or of the ids in its lists."""

    count: int = 0
    missing: int = 0
    unseen: int = 0
    """Number of ids that stand for values outside the vocabulary."""

    @property
    def unseen_share(self) -> float:
        return self.unseen / self.count if self.count else 0.0

    @property
    def missing_share(self) -> float:
        return self.missing / self.count if self.count else 0.0


@dataclass(slots=True)
class SplitSurvey:
    """Survey of a split's columns, by name, and a sample of its rows."""

    name: str
    rows: int = 0
    numbers: dict[str, NumberRange] = field(default_factory=dict)
    ids: dict[str, Ids] = field(default_factory=dict)
    sample: dict[str, NDArray[Any] | Lists] = field(default_factory=dict)
    """Values of the first rows, clicks included."""
    spread: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Values of every k-th row, or the ids in its list; see `SPREAD_ROWS`."""


def survey_split(
    name: str,
    files: Sequence[Path],
    outputs: Sequence[OutputColumn],
    *,
    sampled: bool,
    progress: Callable[[int], None] | None = None,
) -> SplitSurvey:
    """Survey the encoded files of a split.

    Raises
    ------
    DataError
        A number is missing, infinite or too large to train on or to score.
    """
    survey = SplitSurvey(name)
    counters = {column.name: _counter(column) for column in outputs}
    survey.ids = {n: c.ids for n, c in counters.items() if isinstance(c, _IdCounter)}
    survey.numbers = {n: c.numbers for n, c in counters.items() if isinstance(c, _NumberCounter)}
    wanted = min(SAMPLE_ROWS, SAMPLE_CELLS // max(len(outputs), 1)) if sampled else 0
    held: dict[str, list[Any]] = {column.name: [] for column in outputs} | {CLICK: []}
    spread: dict[str, list[NDArray[Any]]] = {column.name: [] for column in outputs}
    step = max(1, sum(pq.read_metadata(file).num_rows for file in files) // SPREAD_ROWS)
    for file in files:
        with pq.ParquetFile(file) as parquet:
            for block in read_batches(parquet, BLOCK_ROWS, held):
                left = max(wanted - survey.rows, 0)
                for column, values in _values_of(block):
                    if column != CLICK:
                        counters[column].add(values, survey)
                        spread[column].append(_every(values, -survey.rows % step, step))
                    if left:
                        held[column].append(_first(values, left))
                survey.rows += len(block)
                if progress is not None:
                    progress(len(block))
    survey.sample = {column: _joined(parts) for column, parts in held.items() if parts}
    survey.spread = {
        column: np.concatenate(parts) if parts else np.empty(0) for column, parts in spread.items()
    }
    return survey


def _values_of(block: pa.RecordBatch) -> list[tuple[str, NDArray[Any] | Lists]]:
    return [
        (name, _lists(column) if pa.types.is_large_list(column.type) else column.to_numpy(False))
        for name, column in zip(block.schema.names, block.columns, strict=True)
    ]


def _lists(column: pa.Array) -> Lists:
    offsets = np.asarray(column.offsets, np.int64)
    return Lists(np.asarray(column.flatten()), offsets - offsets[0])


def _first(values: NDArray[Any] | Lists, rows: int) -> NDArray[Any] | Lists:
    if isinstance(values, Lists):
        return values if len(values) <= rows else values.take(np.arange(rows))
    return values[:rows].copy()


def _every(values: NDArray[Any] | Lists, first: int, step: int) -> NDArray[Any]:
    if isinstance(values, Lists):
        return np.asarray(values.take(np.arange(first, len(values), step)).values)
    return values[first::step].copy()


def _joined(parts: Sequence[Any]) -> NDArray[Any] | Lists:
    joined: NDArray[Any] | Lists = concat(parts)
    return joined


class _IdCounter:
    """Counts a column's ids, or the ids in its lists."""

    def __init__(self, column: OutputColumn) -> None:
        self.ids = Ids()
        self._unseen_ids = column.id_step.unseen_ids
        self._null_id = column.id_step.null_id

    def add(self, values: NDArray[Any] | Lists, survey: SplitSurvey) -> None:
        ids = np.asarray(values.values if isinstance(values, Lists) else values)
        if not len(ids):
            return
        self.ids.add(ids)
        self.ids.count += len(ids)
        if self._unseen_ids:
            self.ids.missing += int(np.count_nonzero(ids == self._null_id))
            unseen = (ids >= self._unseen_ids.start) & (ids < self._unseen_ids.stop)
            self.ids.unseen += int(np.count_nonzero(unseen))


class _NumberCounter:
    """Tracks the range of a column of numbers; raises for numbers that no model can handle."""

    def __init__(self, column: OutputColumn) -> None:
        self.numbers = NumberRange()
        self._column = column

    def add(self, values: NDArray[Any] | Lists, survey: SplitSurvey) -> None:
        numbers = np.asarray(values)
        if not len(numbers):
            return
        low, high = self.numbers.add(numbers)
        is_fine = low >= -LARGEST_NUMBER and high <= LARGEST_NUMBER
        if not is_fine:  # also for NaN
            raise _not_computable(self._column, numbers, survey)


def _counter(column: OutputColumn) -> _IdCounter | _NumberCounter:
    return _IdCounter(column) if column.is_categorical else _NumberCounter(column)


def _not_computable(column: OutputColumn, numbers: NDArray[Any], survey: SplitSurvey) -> DataError:
    """The error for an encoded number that cannot be trained on or scored."""
    row = int(np.argmax(~(np.abs(numbers) <= LARGEST_NUMBER)))
    got = float(numbers[row])
    where = f"Column {column.name!r}, row {survey.rows + row + 1} of the encoded split "
    where += survey.name
    if survey.name == "probe":
        where += " (test rows, and copies with missing values as a server may get them)"
    if math.isnan(got):
        return DataError(
            f"{where}: the number is missing after the graph, and a model has no score for it. "
            "Fill missing numbers in the graph (workflow.options.fill with a number, or a "
            "FillMissing before the other operators), or leave the column out."
        )
    size = "is infinite" if math.isinf(got) else f"is {got:.3g}"
    return DataError(
        f"{where}: wanted numbers between -{LARGEST_NUMBER:.0g} and {LARGEST_NUMBER:.0g} after "
        f"the graph, but this one {size}, and the model's float32 overflows. Clip the column "
        "(workflow.options.clip_min and clip_max, or a Clip in the graph), take its logarithm, or "
        "leave it out."
    )
