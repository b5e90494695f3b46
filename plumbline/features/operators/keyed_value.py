"""A number that the training split has for a key: a group's statistic, an encoded target."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.base.file_names import file_name
from plumbline.columns.keys import is_all_missing, part_values
from plumbline.columns.values import Values
from plumbline.features.lookup.tables import VALUE, Tables, index_of, write_look_up
from plumbline.features.statistics.keys import key_parts
from plumbline.features.steps.fit_step import Target
from plumbline.features.steps.step import Apply, Step


@dataclass(frozen=True, slots=True)
class KeyedValue(Step):
    """Looks the key, of one or more columns, up in `table`; `default` where it is not there.

    `table` is the file inside the plan folder that holds key and value, `sha256` its hash;
    `index_sha256` is that of the look-up index beside it. `null` is the value of a key of which
    every part is missing. None stands for a missing number.
    """

    op = "keyed_value"
    takes = "categories"
    table: str
    sha256: str
    index_sha256: str
    default: float | None
    null: float | None

    @classmethod
    def written(
        cls,
        folder: Path,
        name: str,
        parts: Sequence[pa.Array],
        sources: Sequence[str],
        values: NDArray[np.float64],
        *,
        default: float | None,
        null: float | None,
    ) -> KeyedValue:
        """Write `keyed_value/<name>.parquet` (see `plumbline.base.file_names`) and its index.

        Parameters
        ----------
        parts
            The distinct keys, an int64 or string array (V,) for each of the `sources`.
        values
            float64 (V,); NaN is missing.
        """
        columns = {f"key {source}": part for source, part in zip(sources, parts, strict=True)}
        file = f"keyed_value/{file_name(name)}.parquet"
        table = pa.table({**columns, VALUE: values})
        return cls(file, *write_look_up(folder, file, parts, table), default, null)

    def files(self) -> Mapping[str, str]:
        return {self.table: self.sha256, index_of(self.table): self.index_sha256}

    def rows_of(self, tables: Tables) -> Callable[..., NDArray[np.int64]]:
        """Keys to their row of the table, (B,); -2 for a missing key, -1 for an unknown one."""
        positions = tables.positions(self.table, self.sha256, self.index_sha256)

        def rows_of(*keys: Values) -> NDArray[np.int64]:
            row_B = positions(*keys)
            row_B[is_all_missing(keys)] = -2
            return row_B

        return rows_of

    def bind(self, tables: Tables) -> Apply:
        rows_of = self.rows_of(tables)
        last = [np.nan if value is None else value for value in (self.null, self.default)]
        values = np.append(tables.numbers(self.table), last)  # at rows -2 and -1
        return lambda *keys: values[rows_of(*keys)]


def by_key(
    target: Target, keys: pa.Array, values: NDArray[np.float64], default: float | None
) -> KeyedValue:
    """The step that gives `values`, float64 (V,), by `keys`, and `default` where there is none."""
    parts = key_parts(keys, target.types)
    is_null = is_all_missing([part_values(part) for part in parts])
    of_null = values[is_null]
    null = float(of_null[0]) if len(of_null) else default
    there = pa.array(np.flatnonzero(~is_null))
    return KeyedValue.written(
        target.folder,
        target.output,
        [part.take(there) for part in parts],
        target.columns,
        values[~is_null],
        default=default,
        null=None if null is None or math.isnan(null) else null,
    )
