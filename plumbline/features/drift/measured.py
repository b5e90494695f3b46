"""What is measured of each row: the raw numbers, and what the model gets that is not one of them.

| measure | of |
|---|---|
| `number` | each raw continuous column, with its missing values, before any step |
| `id` | each output of ids; of a list, each of its ids |
| `length` | each output of lists: the number of ids in a row |
| `feature` | each other output of numbers, as the model gets it; not those of raw numbers alone |

Legend: B rows, F columns of ids, C columns of numbers, N values of a measure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plumbline.features.drift.bins import Bins, IdBins, NumberBins
from plumbline.features.encoding.encoder import Encoded
from plumbline.features.plan.plan import OutputColumn, Plan

Measure = Literal["number", "id", "length", "feature"]

RawNumbers: TypeAlias = Callable[[int], NDArray[np.float32]]
"""The raw numbers (B,) of the plan's continuous column of this position."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One measure of a column; `position` is that among the columns which it is taken from."""

    column: str
    measure: Measure
    position: int
    is_list: bool = False
    unseen: range = range(0)
    null: int = -1
    """Both of a measure of ids: see `plumbline.features.drift.bins.IdBins`."""
    ids: int = 0
    """The number of ids, which start at 0."""

    def values(self, raw: RawNumbers, encoded: Encoded) -> NDArray[Any]:
        """The values of some rows, (N,): floats, or ids."""
        if self.measure == "number":
            return raw(self.position)
        if self.measure == "feature":
            return encoded.dense_BC[:, self.position]
        if self.measure == "length":
            return np.diff(encoded.bags[self.position].offsets).astype(np.float32)
        if self.is_list:
            return np.asarray(encoded.bags[self.position].values)
        return np.asarray(encoded.ids_BF[:, self.position])

    def bins_of(self, values_N: NDArray[Any]) -> Bins:
        """Bins made for these values."""
        if self.measure == "id":
            return IdBins.of(values_N, self.unseen, self.null)
        return NumberBins.of(values_N)


def measured(plan: Plan) -> tuple[Measured, ...]:
    """All measures of a plan's rows, raw numbers first, then ids, lists and other numbers."""
    kinds = plan.kinds
    raw = [name for name, kind in kinds.items() if kind == "continuous"]
    found = [Measured(name, "number", position) for position, name in enumerate(raw)]
    single = [column for column in plan.categorical if not column.is_list]
    found += [_of_ids(column, position) for position, column in enumerate(single)]
    lists = [column for column in plan.categorical if column.is_list]
    for position, column in enumerate(lists):
        found += [_of_ids(column, position), Measured(column.name, "length", position)]
    found += [
        Measured(column.name, "feature", position)
        for position, column in enumerate(plan.continuous)
        if not {*column.sources} <= {*raw}
    ]
    return tuple(found)


def _of_ids(column: OutputColumn, position: int) -> Measured:
    step = column.id_step
    null = step.null_id if step.unseen_ids else -1  # computed ids have none of their own
    return Measured(column.name, "id", position, column.is_list, step.unseen_ids, null, step.ids)
