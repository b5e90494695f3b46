"""Fills missing integers or texts with a value that is a key like any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plumbline.base.errors import PlanError
from plumbline.columns.values import Text, Values, concat, is_missing, take
from plumbline.features.lookup.tables import Tables
from plumbline.features.steps.native_nodes import NativeNode, NativeNodes
from plumbline.features.steps.step import Apply, Step
from plumbline.features.steps.value_types import ValueType


@dataclass(frozen=True, slots=True)
class FillKey(Step):
    """Keeps the type of its input: int64 or text, as `value`.

    >>> FillKey(7).apply(np.array([1, -(2**63)]))
    array([1, 7])
    """

    op = "fill_key"
    takes = "categories"
    gives = "same"
    fills_missing = True
    is_exact = True
    value: int | str

    def type_of(self, taken: Sequence[ValueType], output: str) -> ValueType:
        result = Step.type_of(self, taken, output)
        if (result.element == "text") != isinstance(self.value, str):
            raise PlanError(f"Column {output!r}: FillKey fills {result} with {self.value!r}.")
        return result

    def apply(self, values: Values) -> Values:
        missing_B = is_missing(values)
        if not missing_B.any():
            return values
        rows_B = np.where(missing_B, len(missing_B), np.arange(len(missing_B)))
        filled: Values = take(concat([values, self._one()]), rows_B)
        return filled

    def bind(self, tables: Tables) -> Apply:
        return self.apply

    def native(
        self, nodes: NativeNodes, sources: Sequence[NativeNode], tables: Tables
    ) -> NativeNode:
        return nodes.fill_key(self.value, sources[0])

    def _one(self) -> Values:
        """`value` as a column of one row."""
        if isinstance(self.value, str):
            return Text.from_objects([self.value.encode()])
        return np.array([self.value], np.int64)
