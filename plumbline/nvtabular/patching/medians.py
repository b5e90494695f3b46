"""Exact medians of columns that no task holds.

A task sorts the numbers of a partition and counts equal ones. The median is then found by halving
the range of all numbers, 64 times: how many are at or below the middle is a binary search in each
partition's file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.nvtabular.patching.columns import host_numbers
from plumbline.nvtabular.patching.spilled import Spilled, spill

_LEAST, _GREATEST = -(2**63), 2**63 - 1


def sorted_numbers(names: Sequence[str], folder: Path, frame: Any) -> Spilled:
    """Write the distinct numbers of each column, and how many rows are at or below each."""
    return spill(folder, ((name, _sorted(host_numbers(frame[name]))) for name in names))


def _sorted(numbers: NDArray[np.float64]) -> pa.Table:
    present = numbers[~np.isnan(numbers)] + 0.0  # -0.0 becomes 0.0
    key, count = np.unique(_ascending(present.view(np.int64)), return_counts=True)
    return pa.table({"key": key, "rows": np.cumsum(count)})


def median_of(parts: Sequence[Spilled], name: str) -> float | None:
    """The exact median, for an even count the mean of the middle two; None without numbers."""
    tables = [part.table(name) for part in parts]
    columns = [(_array(table["key"]), _array(table["rows"])) for table in tables if len(table)]
    rows = sum(int(rows[-1]) for _, rows in columns)
    if not rows:
        return None
    low, high = (_number_at(columns, place) for place in ((rows - 1) // 2, rows // 2))
    return low if low == high else low + (high - low) / 2


def _number_at(columns: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]], place: int) -> float:
    """The number with this place, from 0, among the sorted numbers of all columns."""
    low, high = _LEAST, _GREATEST
    while low < high:
        middle = (low + high) // 2
        if sum(_rows_up_to(middle, *column) for column in columns) > place:
            high = middle
        else:
            low = middle + 1
    return float(_ascending(np.array([low])).view(np.float64)[0])


def _rows_up_to(key: int, keys: NDArray[np.int64], rows: NDArray[np.int64]) -> int:
    found = int(np.searchsorted(keys, np.int64(key), side="right"))
    return int(rows[found - 1]) if found else 0


def _array(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Without a copy: the file has one chunk of it."""
    return np.asarray(column.chunk(0))


def _ascending(bits: NDArray[np.int64]) -> NDArray[np.int64]:
    """The bits of float64 so that they ascend with the number; its own inverse."""
    return np.asarray(bits ^ ((bits >> 63) & np.int64(2**63 - 1)))
