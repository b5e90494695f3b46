"""The values of a Categorify, counted in pieces (`plumbline.nvtabular.patching.pieces`).

What is below the threshold stays behind in its piece. A table of values has a column "count".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from plumbline.columns.keys import part_values
from plumbline.columns.values import NULL_INT64
from plumbline.features.lookup.index import open_index
from plumbline.features.lookup.tables import Positions
from plumbline.nvtabular.patching.columns import is_host, key_values
from plumbline.nvtabular.patching.pieces import keyed, names_of_parts
from plumbline.nvtabular.patching.spilled import Spilled, concatenated

COUNT = "count"

MERGED_ROWS = 1 << 20
"""The number of rows, at least, that are added to those before them at a time."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Which values of a vocabulary are kept: those with a count of at least `minimum`.

    Of these, only the `limit` most frequent, unless it is None.
    """

    minimum: int
    limit: int | None

    def merged(self, tables: Iterable[pa.Table]) -> pa.Table:
        """The values of a piece, from its tables of all partitions."""
        table = _added(tables)
        kept = table.filter(pc.greater_equal(table[COUNT], self.minimum))
        return kept if self.limit is None else self.in_order(kept)

    def in_order(self, table: pa.Table) -> pa.Table:
        """The values in the order of their ids: by count, descending, and ascending by value."""
        keys = [(COUNT, "descending"), *((name, "ascending") for name in names_of_parts(table))]
        return table.take(pc.sort_indices(table, sort_keys=keys)).slice(0, self.limit)


def counted_values(counted: Any) -> pa.Table:
    """The table of a frame of counted values, whose last column has the counts."""
    host = counted if is_host(counted) else counted.to_pandas(nullable=True)
    *columns, counts = (host.iloc[:, position] for position in range(host.shape[1]))
    return keyed([key_values(column) for column in columns], {COUNT: counts.to_numpy(np.int64)})


def _added(tables: Iterable[pa.Table]) -> pa.Table:
    """The sum of the counts of each value; what waits to be added is at most as long as the sum."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting[1:])) > max(len(waiting[0]), MERGED_ROWS):
            waiting = [_sums(waiting)]
    return _sums(waiting)


def _sums(tables: Sequence[pa.Table]) -> pa.Table:
    table = concatenated(tables).replace_schema_metadata(None)
    names = names_of_parts(table)
    sums = table.group_by(names, use_threads=False).aggregate([(COUNT, "sum")])
    return sums.select([*names, f"{COUNT}_sum"]).rename_columns(table.column_names)


def vocabulary(pieces: Sequence[Spilled], name: str, kept: Kept) -> pa.Table:
    """All values of a vocabulary in the order of their ids, from its pieces."""
    return kept.in_order(concatenated([piece.table(name) for piece in pieces]))


def counts_of_given(pieces: Sequence[Spilled], name: str, index: Path) -> NDArray[np.int64]:
    """The counts of given values, (V,), whose index is in a file."""
    positions = Positions(open_index(index))
    counts = np.zeros(len(positions.index), np.int64)
    for piece in pieces:
        table = piece.table(name)
        if len(table):
            row_B = positions(part_values(table["0"]))
            counts[row_B[row_B >= 0]] = np.asarray(table[COUNT])[row_B >= 0]
    return counts


def with_nulls(part: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values with nulls for null marks."""
    mark = pa.scalar(NULL_INT64 if pa.types.is_integer(part.type) else "", part.type)
    return pc.if_else(pc.equal(part, mark), pa.scalar(None, part.type), part)
