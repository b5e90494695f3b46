"""The values of a Categorify, counted in pieces.

A value belongs to the piece that its hash says. A task counts the values of a partition, and a task
adds the counts of a piece over all partitions, so no task holds more than one partition or one
piece. What is below the threshold stays behind there.

A table has a column for each part of the values, named "0", "1" and so on, int64 or text with the
null marks of `plumbline.columns.wire`, and a column "count".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from plumbline.columns.keys import part_values
from plumbline.columns.value_hash import combined_hash, modulo
from plumbline.columns.values import NULL_INT64, Text
from plumbline.features.lookup.index import open_index
from plumbline.features.lookup.tables import Positions, index_of
from plumbline.nvtabular.library import get_worker_cache
from plumbline.nvtabular.patching.columns import is_host, key_values, looked_up
from plumbline.nvtabular.patching.spilled import Spilled, concatenated, in_pieces, spill
from plumbline.nvtabular.patching.tables import read_table

COUNT = "count"

_ROW = "\x1frow"

MAX_PIECES = 64
"""Of 40 million values, a piece has 625,000."""

MERGED_ROWS = 1 << 20
"""The number of rows, at least, that are added to those before them at a time."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Which values of a vocabulary are kept: those with a count of at least `minimum`.

    Of these, only the `limit` most frequent, unless it is None.
    """

    minimum: int
    limit: int | None

    def of(self, table: pa.Table) -> pa.Table:
        kept = table.filter(pc.greater_equal(table[COUNT], self.minimum))
        return kept if self.limit is None else self.in_order(kept)

    def in_order(self, table: pa.Table) -> pa.Table:
        """The values in the order of their ids: by count, descending, and ascending by value."""
        keys = [(COUNT, "descending"), *((name, "ascending") for name in _parts_of(table))]
        return table.take(pc.sort_indices(table, sort_keys=keys)).slice(0, self.limit)


def spilled_counts(counted: Mapping[str, Any], pieces: int, folder: Path) -> Spilled:
    """Write the counted values of a partition: vocabulary name to frame, its last column counts."""
    tables = {}
    for name, frame in counted.items():
        host = frame if is_host(frame) else frame.to_pandas(nullable=True)
        *columns, counts = (host.iloc[:, position] for position in range(host.shape[1]))
        parts = [key_values(column) for column in columns]
        arrays = [p.to_arrow() if isinstance(p, Text) else pa.array(p) for p in parts]
        names = [*map(str, range(len(arrays))), COUNT]
        table = pa.table([*arrays, pa.array(counts.to_numpy(np.int64))], names=names)
        tables[name] = in_pieces(table, modulo(combined_hash(parts), pieces), pieces)
    return spill(folder, tables)


def merged_piece(
    parts: Sequence[Spilled], piece: int, kept: Mapping[str, Kept], folder: Path
) -> Spilled:
    """Write a piece of every vocabulary, added over all partitions."""
    tables = {
        name: of_vocabulary.of(_added(part.piece(name, piece) for part in parts))
        for name, of_vocabulary in kept.items()
    }
    return spill(folder, tables)


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
    names = _parts_of(table)
    sums = table.group_by(names, use_threads=False).aggregate([(COUNT, "sum")])
    return sums.select([*names, f"{COUNT}_sum"]).rename_columns(table.column_names)


def _parts_of(table: pa.Table) -> list[str]:
    return [name for name in table.column_names if name != COUNT]


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


def rows_of(path: str, frame: Any) -> NDArray[np.int64]:
    """The place of each row's values in the vocabulary of a file, or -1.

    The index is mapped into memory, so the workers of a machine share it. Frames of cuDF are joined
    with the file on their device instead.
    """
    if not is_host(frame):
        return _joined(path, frame)
    with get_worker_cache("vocabularies") as cache:
        if path not in cache:
            cache[path] = Positions(open_index(Path(index_of(path))))
        positions = cache[path]
    if not len(positions.index) or not len(frame):
        return np.full(len(frame), -1)
    return np.asarray(positions(*(key_values(frame[name]) for name in frame.columns)))


def _joined(path: str, frame: Any) -> NDArray[np.int64]:
    """As `rows_of`, by a join. This has not run on a device."""
    names, table = list(frame.columns), read_table(path, frame)
    if not len(table):
        return np.full(len(frame), -1)
    *columns, _ = table.columns
    table = table[columns].rename(columns=dict(zip(columns, names, strict=True)))
    found = looked_up(frame, table.assign(**{_ROW: np.arange(len(table))}), names)
    return np.asarray(found[_ROW].fillna(-1).astype(np.int64).to_numpy())
