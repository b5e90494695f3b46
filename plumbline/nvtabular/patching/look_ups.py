"""Look-ups of patched operators: keys are found in the plan's kind of index, not joined.

The files are mapped into memory, so the workers of a machine share them.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from plumbline.columns.keys import is_all_missing
from plumbline.features.lookup.index import open_index
from plumbline.features.lookup.tables import VALUE, KeyIndex, Positions, index_of
from plumbline.features.operators.keyed_value import KeyedValue
from plumbline.features.steps.fit_step import Target
from plumbline.nvtabular.library import fetch_table_data, get_worker_cache
from plumbline.nvtabular.patching.columns import is_host, key_values, looked_up
from plumbline.nvtabular.patching.spilled import Spilled

MISSING, UNKNOWN = -2, -1
"""In place of the row of a key; as indices, the places of their values in `LookUp.numbers`."""

_ROW = "\x1frow"


@dataclass(frozen=True, slots=True)
class LookUp:
    """Values by key, in files.

    `keys` is the Parquet file of the distinct keys, whose index is beside it. `values` has a table
    for each name, of one float64 column (V + 2,): the values of the keys, of the missing key, and
    of unknown keys.
    """

    keys: str
    values: Spilled

    def numbers(self, name: Hashable) -> NDArray[np.float64]:
        """The values of this name, (V + 2,), at the rows that `rows_of` gives."""
        return np.asarray(self.values.table(name)[VALUE].chunk(0))

    def step(self, target: Target, name: Hashable) -> KeyedValue:
        """The plan's step that looks up the values of this name."""
        values = self.numbers(name)
        return KeyedValue.written(
            target.folder,
            target.output,
            [column.combine_chunks() for column in pq.read_table(self.keys).columns],
            target.columns,
            values[:-2],
            default=_or_none(values[UNKNOWN]),
            null=_or_none(values[MISSING]),
            index=KeyIndex.at(Path(index_of(self.keys))),
        )


def rows_of(path: str, frame: Any) -> NDArray[np.int64]:
    """The row of each key in a file of distinct keys, (B,), or `MISSING` or `UNKNOWN`.

    Frames of cuDF are joined with the file on their device.
    """
    if not is_host(frame):
        return _joined(path, frame)
    with get_worker_cache("indexes") as cache:
        if path not in cache:
            cache[path] = Positions(open_index(Path(index_of(path))))
        positions = cache[path]
    keys = [key_values(frame[name]) for name in frame.columns]
    if not len(positions.index) or not len(frame):
        row_B = np.full(len(frame), UNKNOWN)
    else:
        row_B = positions(*keys)
    row_B[is_all_missing(keys)] = MISSING
    return np.asarray(row_B)


def _joined(path: str, frame: Any) -> NDArray[np.int64]:
    """As `rows_of`, by a join. This has not run on a device."""
    import cudf

    names = list(frame.columns)
    with get_worker_cache("keys") as cache:
        table = fetch_table_data(cache, path, cache="host", reader=cudf.read_parquet)
    row_B = np.full(len(frame), UNKNOWN)
    if len(table):
        table = table[list(table.columns[: len(names)])]
        table.columns = names
        found = looked_up(frame, table.assign(**{_ROW: np.arange(len(table))}), names)
        row_B = found[_ROW].fillna(UNKNOWN).astype(np.int64).to_numpy()
    row_B[frame.isna().all(axis=1).to_numpy()] = MISSING
    return np.asarray(row_B)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
