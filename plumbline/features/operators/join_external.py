"""A column of a table outside of the log, by its key: NVTabular's JoinExternal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from plumbline.features.operators.keyed_key import KeyedKey, element_of
from plumbline.features.operators.keyed_value import KeyedValue
from plumbline.features.statistics.keys import KeyTable
from plumbline.features.steps.fit_step import FitStep, NoRows, Target
from plumbline.features.steps.value_types import ValueType


@dataclass(frozen=True, slots=True)
class FitJoin(FitStep[NoRows]):
    """Writes the table into the plan; the fitted step is a `KeyedValue` or a `KeyedKey`.

    keys: int64 or string arrays (V,), one for each part of the key, which is distinct. values:
    int64, string or float64 (V,). Two steps are equal if their `sha256`, of both, are.
    """

    takes = "categories"
    reads_rows = False
    sha256: str
    keys: tuple[pa.Array, ...] = field(compare=False, repr=False)
    values: pa.Array = field(compare=False, repr=False)

    def type_of(self, taken: Sequence[ValueType], output: str) -> ValueType:
        super(FitJoin, self).type_of(taken, output)
        return ValueType(element_of(self.values))

    def accumulator(self, types: Sequence[ValueType]) -> NoRows:
        return NoRows()

    def fitted(self, accumulated: NoRows, target: Target) -> KeyedValue | KeyedKey:
        keys = KeyTable(self.keys)
        of_null = self.values.filter(pa.array(keys.is_null)).to_pylist()
        null = of_null[0] if of_null else None
        values = self.values.filter(pa.array(~keys.is_null))
        element = element_of(values)
        if element == "number":
            numbers = np.asarray(values.fill_null(np.nan), np.float64)
            null = None if null is None or np.isnan(null) else float(null)
            return KeyedValue.written(
                target.folder,
                target.output,
                keys.parts,
                target.columns,
                numbers,
                default=None,
                null=null,
            )
        files = KeyedKey.write(target.folder, target.output, keys.parts, target.columns, values)
        return KeyedKey(*files, element, null)


def in_order(keys: Sequence[pa.Array]) -> pa.Array:
    """The order of distinct keys by their parts, from left to right, missing ones first."""
    names = [str(part) for part in range(len(keys))]
    return pc.sort_indices(
        pa.table(list(keys), names=names),
        sort_keys=[(name, "ascending") for name in names],
        null_placement="at_start",
    )
