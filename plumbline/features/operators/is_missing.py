"""1 where the value is missing, 0 where it is there: NVTabular's `<column>_filled`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plumbline.columns.values import is_missing
from plumbline.features.operators.step import Apply, Step

if TYPE_CHECKING:
    from plumbline.features.lookup.tables import Tables


@dataclass(frozen=True, slots=True)
class IsMissing(Step):
    """
    >>> IsMissing().bind(None)(np.array([1.0, np.nan]))
    array([0., 1.])
    """

    op = "is_missing"

    def bind(self, tables: Tables) -> Apply:
        return lambda values: is_missing(values).astype(np.float64)
