"""The value of a key: a group's statistic, or an encoded target."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.base.file_names import file_name
from plumbline.columns.keys import is_all_missing
from plumbline.columns.values import Values
from plumbline.features.lookup.tables import (
    VALUE,
    KeyIndex,
    Positions,
    Tables,
    index_of,
    write_look_up,
)
from plumbline.features.statistics.keys import KeyTable
from plumbline.features.steps.fit_step import Target
from plumbline.features.steps.native_nodes import NativeNode, NativeNodes
from plumbline.features.steps.step import SEVERAL, Apply, Step
from plumbline.features.steps.value_types import ValueType


@dataclass(frozen=True, slots=True)
class Keyed(Step):
    """Looks up the value of a key of one or more columns.

    `table` is the file of keys and values, relative to the plan folder; `sha256` is its hash, and
    `index_sha256` that of its look-up index.
    """

    takes = "categories"
    table: str
    sha256: str
    index_sha256: str

    @property
    def arity(self) -> range:
        return SEVERAL

    @staticmethod
    def write(
        folder: Path,
        name: str,
        parts: Sequence[pa.Array],
        sources: Sequence[str],
        values: pa.Array | NDArray[np.float64],
        index: KeyIndex | None = None,
    ) -> tuple[str, str, str]:
        """Write `keyed_value/<name>.parquet` (see `plumbline.base.file_names`) and its index.

        Parameters
        ----------
        parts
            The columns of the distinct keys: an int64 or string array (V,) per source.
        values
            (V,)
        index
            The index of the keys, if other values of the same keys are written too.

        Returns
        -------
        The fields of a step that looks them up: the file, its hash, and its index's.
        """
        columns = {f"key {source}": part for source, part in zip(sources, parts, strict=True)}
        file = f"keyed_value/{file_name(name)}.parquet"
        table = pa.table({**columns, VALUE: values})
        return file, *write_look_up(folder, file, index or KeyIndex(parts), table)

    def files(self) -> Mapping[str, str]:
        return {self.table: self.sha256, index_of(self.table): self.index_sha256}

    def check_keys(self, tables: Tables, taken: Sequence[ValueType]) -> None:
        self.positions(tables).require_keys(self.table, [t.element == "text" for t in taken])

    def positions(self, tables: Tables) -> Positions:
        """The rows of the keys in the table."""
        return tables.positions(self.table, self.sha256, self.index_sha256)

    def rows_of(self, tables: Tables) -> Callable[..., NDArray[np.int64]]:
        """A function from keys to rows of the table, (B,): -2 if missing, -1 if unknown."""
        positions = self.positions(tables)

        def rows_of(*keys: Values) -> NDArray[np.int64]:
            row_B = positions(*keys)
            row_B[is_all_missing(keys)] = -2
            return row_B

        return rows_of


@dataclass(frozen=True, slots=True)
class KeyedValue(Keyed):
    """Looks up a number by a key; see `Keyed`.

    `default` is the value of an unknown key, `null` that of a key with all parts missing. None is a
    missing number.
    """

    op = "keyed_value"
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
        index: KeyIndex | None = None,
    ) -> KeyedValue:
        """Write the files (see `Keyed.write`) of `values`, float64 (V,); NaN is missing."""
        one_nan = np.where(np.isnan(values), np.nan, values)  # 0/0 is a NaN of other bits
        return cls(*cls.write(folder, name, parts, sources, one_nan, index), default, null)

    def bind(self, tables: Tables) -> Apply:
        rows_of = self.rows_of(tables)
        last = _or_nan(self.null), _or_nan(self.default)
        values = np.append(self._values(tables), last)  # at rows -2 and -1
        return lambda *keys: values[rows_of(*keys)]

    def native(
        self, nodes: NativeNodes, sources: Sequence[NativeNode], tables: Tables
    ) -> NativeNode:
        return nodes.numbers_at(
            nodes.positions(self.positions(tables), sources),
            sources,
            self._values(tables),
            null=_or_nan(self.null),
            unseen=_or_nan(self.default),
        )

    def _values(self, tables: Tables) -> NDArray[np.float64]:
        return tables.numbers(self.table, len(self.positions(tables).index))


def by_key(
    target: Target, keys: KeyTable, values: NDArray[np.float64], default: float | None
) -> KeyedValue:
    """Write and return the step with `values`, float64 (V,), of `keys`, and a default."""
    of_null = values[keys.is_null]
    null = float(of_null[0]) if len(of_null) else default
    return KeyedValue.written(
        target.folder,
        target.output,
        keys.parts,
        target.columns,
        values[~keys.is_null],
        default=default,
        null=None if null is None or math.isnan(null) else null,
        index=keys.index,
    )


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
