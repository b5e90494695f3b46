"""The integer or text that belongs to a key, from a table that was joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from plumbline.columns.values import NULL_INT64, Text, Values, concat, take
from plumbline.features.lookup.tables import Tables
from plumbline.features.operators.keyed_value import Keyed
from plumbline.features.steps.native_nodes import NativeNode, NativeNodes
from plumbline.features.steps.step import Apply
from plumbline.features.steps.value_types import ValueType


@dataclass(frozen=True, slots=True)
class KeyedKey(Keyed):
    """Looks up an integer or a text by a key; see `Keyed`.

    `element` is the type of the values, "integer" or "text". `null` is the value of a key with all
    parts missing; None is missing, as is the value of an unknown key.
    """

    op = "keyed_key"
    is_exact = True
    element: Literal["integer", "text"]
    null: int | str | None

    def __post_init__(self) -> None:
        if self.null is not None and isinstance(self.null, str) != (self.element == "text"):
            raise ValueError(f"null: wanted {self.element}, got {self.null!r}")

    def type_of(self, taken: Sequence[ValueType], output: str) -> ValueType:
        super(KeyedKey, self).type_of(taken, output)
        return ValueType(self.element)

    def bind(self, tables: Tables) -> Apply:
        rows_of = self.rows_of(tables)
        values = concat([self._values(tables), self._last()])  # at rows -2 and -1

        def apply(*keys: Values) -> Values:
            row_B = rows_of(*keys)
            found: Values = take(values, np.where(row_B < 0, row_B + len(values), row_B))
            return found

        return apply

    def native(
        self, nodes: NativeNodes, sources: Sequence[NativeNode], tables: Tables
    ) -> NativeNode:
        found = nodes.positions(self.positions(tables), sources)
        values, null = self._values(tables), self._null
        if isinstance(values, Text):
            return nodes.texts_at(found, sources, values, null=str(null))
        assert isinstance(values, np.ndarray)
        return nodes.integers_at(found, sources, values, null=int(null))

    def _values(self, tables: Tables) -> Values:
        rows = len(self.positions(tables).index)
        return tables.keys(self.table, rows, is_text=self.element == "text")

    @property
    def _null(self) -> int | str:
        """The value of a key with all parts missing, as values have it."""
        if self.null is None:
            return "" if self.element == "text" else NULL_INT64
        return self.null

    def _last(self) -> Values:
        if self.element == "text":
            return Text.from_objects([str(self._null).encode(), b""])
        return np.array([self._null, NULL_INT64], np.int64)


def element_of(values: pa.Array) -> Literal["number", "integer", "text"]:
    """The type of the values of an int64, string or float64 array."""
    if pa.types.is_floating(values.type):
        return "number"
    return "integer" if pa.types.is_integer(values.type) else "text"
