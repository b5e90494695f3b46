"""1 for a missing value, 0 for any other: NVTabular's `<column>_filled`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plumbline.columns.values import is_missing
from plumbline.features.lookup.tables import Tables
from plumbline.features.steps.native_nodes import UNUSED
from plumbline.features.steps.step import Apply, Step


@dataclass(frozen=True, slots=True)
class IsMissing(Step):
    """
    >>> IsMissing().bind(None)(np.array([1.0, np.nan]))
    array([0., 1.])
    """

    op = "is_missing"
    is_exact = True

    def bind(self, tables: Tables) -> Apply:
        return lambda values: is_missing(values).astype(np.float64)

    def operands(self) -> Sequence[float]:
        return UNUSED, UNUSED
