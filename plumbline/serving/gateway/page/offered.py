"""The values that the page offers for a raw column: the most frequent ones of its vocabulary.

A vocabulary is stored by frequency, so its first values are read and the rest stays on disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from plumbline.columns.parquet import read_batches
from plumbline.columns.values import Values, is_missing
from plumbline.columns.wire import Tensors, from_tensors
from plumbline.features.lookup.tables import parquet_of
from plumbline.features.plan.plan import OutputColumn, Plan
from plumbline.serving.client.core import ServedModel
from plumbline.serving.gateway.page.read_back import forms, read_back

SEARCHED = 10_000
"""Values of a column that are searched: its most frequent ones."""
MOST_OFFERED = 24
"""Values that one answer has of a column."""
MOST_POINTS = 17
_NO_EDGES = np.empty(0, np.float32)


@dataclass(frozen=True, slots=True)
class Found:
    """Values of a column in JSON's form, most frequent first; `more` if others match too."""

    values: list[Any]
    more: bool


@dataclass(frozen=True, slots=True)
class _Known:
    """The first values of a column's vocabulary, their text, and how many values it has."""

    values: list[Any]
    text: pa.Array
    size: int


class Offered:
    """The offered values of a plan's raw columns.

    Raises PlanError if a vocabulary is damaged.
    """

    def __init__(self, plan: Plan, served: ServedModel) -> None:
        self._served = served
        self._known = {
            column.name: _known(plan, served, column.name, output)
            for column in plan.inputs
            if (output := _with_values(plan, column.name)) is not None
        }

    def size(self, column: str) -> int | None:
        """The number of values in the column's vocabulary; None if it has none of its own."""
        known = self._known.get(column)
        return None if known is None else known.size

    def starting_with(self, column: str, prefix: str) -> Found:
        """The most frequent values that begin with a text, in any case of its letters."""
        known = self._known.get(column)
        if known is None:
            return Found([], False)
        matches = np.flatnonzero(pc.starts_with(known.text, prefix, ignore_case=True))
        some = [known.values[position] for position in matches[:MOST_OFFERED].tolist()]
        pairs = read_back(self._served, {column: some})[column]
        return Found([form for _, form in pairs], len(matches) > MOST_OFFERED)

    def most_frequent(self) -> dict[str, list[Any]]:
        """Column to its most frequent values in JSON's form."""
        first = {name: known.values[:MOST_OFFERED] for name, known in self._known.items()}
        pairs = read_back(self._served, first)
        return {name: [form for _, form in found] for name, found in pairs.items()}

    def points(
        self, check_rows: Tensors, edges: Mapping[str, NDArray[np.float32]]
    ) -> dict[str, list[Any]]:
        """Column of numbers or times to values from the smallest to the largest.

        They are its `edges`, between values of the export's check rows that are beyond them; of a
        column without edges, quantiles of the check rows.
        """
        numeric = [
            name
            for name, kind in self._served.kinds.items()
            if kind in ("continuous", "integer", "time") and name not in self._known
        ]
        read = from_tensors(check_rows, self._served.columns, numeric)
        wanted = {name: _points(read[name], edges.get(name, _NO_EDGES)) for name in numeric}
        pairs = read_back(self._served, wanted)
        return {name: [form for _, form in found] for name, found in pairs.items()}


def _points(values: Values, edges: NDArray[np.float32]) -> list[Any]:
    if not isinstance(values, np.ndarray):
        raise TypeError(f"wanted numbers, got {type(values).__name__}")
    there = np.unique(values[~is_missing(values)])
    if len(edges):
        below, above = there[there < edges[0]], there[there > edges[-1]]
        there = np.concatenate([below[:1], edges, above[-1:]])
    elif len(there) > MOST_POINTS:
        there = there[np.linspace(0, len(there) - 1, MOST_POINTS).round().astype(np.int64)]
    return list(there.tolist())


def _with_values(plan: Plan, column: str) -> OutputColumn | None:
    """The output whose vocabulary has the column's raw values, alone rather than in pairs."""
    direct = [
        output
        for output in plan.categorical
        if column in output.chain.sources
        and output.chain.steps
        and output.chain.fitted[0] is output.id_step
        and output.id_step.vocabulary_file is not None
    ]
    return min(direct, key=lambda output: len(output.chain.sources), default=None)


def _known(plan: Plan, served: ServedModel, column: str, output: OutputColumn) -> _Known:
    step = output.id_step
    file = plan.folder / str(step.vocabulary_file)
    with parquet_of(file, step.known) as parquet:
        batch = next(read_batches(parquet, SEARCHED, ["value"]), None)
    array = pa.array([], pa.int64()) if batch is None else batch.column(0)
    size = step.known
    if pa.types.is_struct(array.type):
        array = pc.unique(array.flatten()[output.chain.sources.index(column)].drop_null())
        size = len(array)
    values = array.to_pylist()
    text = pa.array([str(form) for form in forms(served.kinds[column], values)], pa.string())
    return _Known(values, text, size)
