"""Rows in memory as a `RowSource` for an engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from plumbline.columns.kinds import CLICK, FeatureKind
from plumbline.columns.rows import Chunk, Rows
from plumbline.columns.typed import typed_schema, values_of


@dataclass(frozen=True)
class TableSource:
    """Arrow tables as a `RowSource` with `rows` rows per chunk."""

    kinds: Mapping[str, FeatureKind]
    tables: Mapping[str, pa.Table]
    rows: int = 3

    @property
    def splits(self) -> dict[str, int]:
        return {split: len(table) for split, table in self.tables.items()}

    def chunks(self, split: str) -> Iterator[Chunk]:
        table = self.tables[split]
        for start in range(0, len(table), self.rows):
            yield partial(rows_of, table.slice(start, self.rows), self.kinds)


def rows_of(table: pa.Table, kinds: Mapping[str, FeatureKind]) -> Rows:
    columns = {name: values_of(table[name]) for name in kinds}
    return Rows(columns, np.asarray(table[CLICK], np.int8))


def table_of(kinds: Mapping[str, FeatureKind], click: list[int], **columns: list[Any]) -> pa.Table:
    """A typed table of Python values."""
    return pa.table({**columns, CLICK: click}, schema=typed_schema(kinds))
