"""A number that the training split has for a key: a group's statistic, an encoded target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.keys import is_all_missing
from plumbline.columns.values import Values
from plumbline.features.operators.step import Apply, Step

if TYPE_CHECKING:
    from plumbline.features.lookup.tables import Tables


@dataclass(frozen=True, slots=True)
class KeyedValue(Step):
    """Looks the key, of one or more columns, up in `table`; `default` where it is not there.

    `table` is the file inside the plan folder that holds key and value, `sha256` its hash;
    `index_sha256` is that of the look-up index beside it. `null` is the value of a key of which
    every part is missing. None stands for a missing number.
    """

    op = "keyed_value"
    table: str
    sha256: str
    index_sha256: str
    default: float | None
    null: float | None

    def places(self, tables: Tables) -> Callable[..., NDArray[np.int64]]:
        """Keys to their place in the table, (B,); -2 for a missing key, -1 for an unknown one."""
        positions = tables.positions(self.table, self.sha256, self.index_sha256)

        def places(*keys: Values) -> NDArray[np.int64]:
            place_B = positions(*keys)
            place_B[is_all_missing(keys)] = -2
            return place_B

        return places

    def bind(self, tables: Tables) -> Apply:
        places = self.places(tables)
        behind = [np.nan if value is None else value for value in (self.null, self.default)]
        values = np.append(tables.numbers(self.table), behind)  # at places -2 and -1
        return lambda *keys: values[places(*keys)]
