"""Accumulated statistics as columns of a table, from which a later run goes on.

Exact sums are kept as their digits, so that sums of old and new rows are exact too.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.columns.arrow_numbers import arrow_numbers
from plumbline.features.statistics.exact_sums import ExactSums
from plumbline.features.statistics.moments import Moments

KEY, COUNT = "key", "count"


def keys_of(state: pa.Table) -> pa.Array:
    """The keys, as `plumbline.features.statistics.keys.key_array` gives them."""
    keys = one_array(state, KEY)
    return keys if pa.types.is_integer(keys.type) else keys.cast(pa.large_binary())


def one_array(state: pa.Table, name: str) -> pa.Array:
    """A column in one piece."""
    chunks = state[name].chunks
    return pa.concat_arrays(chunks) if chunks else pa.array([], state.schema.field(name).type)


def integers(state: pa.Table, name: str) -> NDArray[np.int64]:
    """A column of integers, int64 (rows,), which may be written to."""
    return np.array(one_array(state, name), np.int64)


def numbers(state: pa.Table, name: str) -> NDArray[np.float64]:
    """A column of numbers, float64 (rows,)."""
    return arrow_numbers(one_array(state, name))


def sums_columns(name: str, sums: ExactSums, width: int = 1) -> dict[str, pa.Array]:
    """The columns of sums of G = rows · width groups, `width` of them a row."""
    low, digits, infinite = sums.state()
    rows = len(sums) // width
    return {
        f"{name} lowest": pa.array(np.full(rows, low, np.int64)),
        f"{name} digits": _lists(digits.ravel(), rows),
        f"{name} infinite": _lists(infinite, rows),
    }


def sums_of(state: pa.Table, name: str, power: Literal[1, 2], width: int = 1) -> ExactSums:
    """The sums of such columns."""
    groups = len(state) * width
    if not groups:
        return ExactSums(0, power)
    digits = np.array(_elements(state, f"{name} digits"), np.int64).reshape(groups, -1)
    infinite = np.array(_elements(state, f"{name} infinite"), np.uint8)
    return ExactSums.restored(power, int(integers(state, f"{name} lowest")[0]), digits, infinite)


def moments_columns(moments: Moments) -> dict[str, pa.Array]:
    """The columns of the moments of groups, one a row."""
    return {
        "numbers": pa.array(moments.count),
        **sums_columns("sum", moments.sums),
        **sums_columns("squares", moments.squares),
    }


def moments_of(state: pa.Table) -> Moments:
    return Moments(
        integers(state, "numbers"), sums_of(state, "sum", 1), sums_of(state, "squares", 2)
    )


def _lists(values: NDArray[np.generic], rows: int) -> pa.Array:
    """Values in lists of one length."""
    width = len(values) // rows if rows else 0
    offsets = np.arange(rows + 1, dtype=np.int64) * width
    return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(values))


def _elements(state: pa.Table, name: str) -> pa.Array:
    return one_array(state, name).flatten()
