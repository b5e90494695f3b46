"""What is learned by key, in pieces: no task holds more than one partition or one piece.

A key belongs to the piece that its hash says. A task writes what it learns of a partition, and a
task merges a piece over all partitions, one after the other.

A table of keys has a column for each part of the keys, named "0", "1" and so on, int64 or text with
the null marks of `plumbline.columns.wire`, and columns of what was learned.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.columns.keys import pack, part_values
from plumbline.columns.value_hash import modulo, value_hash
from plumbline.columns.values import Text, Values
from plumbline.nvtabular.library import delayed
from plumbline.nvtabular.patching.reductions import partitions_of
from plumbline.nvtabular.patching.spilled import Spilled, in_pieces, spill

MAX_PIECES = 64
"""Of 40 million keys, a piece has 625,000."""

Learn: TypeAlias = Callable[[int, Any], Iterable[tuple[Hashable, pa.Table]]]
"""The tables of keys, by name, of a partition that has this number."""

Merge: TypeAlias = Callable[[Iterable[pa.Table]], pa.Table]
"""Merges a piece of all partitions: a table of distinct keys."""


def learned_in_pieces(
    frame: Any, learn: Learn, merges: Mapping[Hashable, Merge], folder: Path
) -> Any:
    """A delayed list of the pieces of a Dask frame's tables; the tasks write into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    partitions = partitions_of(frame)
    pieces = min(len(partitions), MAX_PIECES)
    write = partial(spilled_partition, learn, pieces, folder)
    parts = [delayed(write)(number, partition) for number, partition in enumerate(partitions)]
    merge = partial(merged_piece, merges, folder)
    return delayed([delayed(merge)(parts, piece) for piece in range(pieces)])


def spilled_partition(
    learn: Learn, pieces: int, folder: Path, number: int, partition: Any
) -> Spilled:
    """Write what is learned of a partition, ordered by piece."""
    tables = learn(number, partition)
    return spill(folder, ((n, in_pieces(t, _pieces_of(t, pieces), pieces)) for n, t in tables))


def merged_piece(
    merges: Mapping[Hashable, Merge], folder: Path, parts: Sequence[Spilled], piece: int
) -> Spilled:
    """Write a piece of every table, merged over all partitions."""
    merged = ((n, merge(part.piece(n, piece) for part in parts)) for n, merge in merges.items())
    return spill(folder, merged)


def keyed(parts: Sequence[Values], columns: Mapping[str, Any]) -> pa.Table:
    """A table of keys: their parts, and other columns."""
    arrays = [part.to_arrow() if isinstance(part, Text) else pa.array(part) for part in parts]
    return pa.table({**{str(number): part for number, part in enumerate(arrays)}, **columns})


def names_of_parts(table: pa.Table) -> list[str]:
    return [name for name in table.column_names if name.isdecimal()]


def parts_of(table: pa.Table) -> list[Values]:
    """The parts of a table's keys."""
    return [part_values(table[name]) for name in names_of_parts(table)]


def _pieces_of(table: pa.Table, pieces: int) -> NDArray[np.int64]:
    """The number of the piece that each key belongs to, (B,)."""
    parts = parts_of(table)
    # Hashes of parts that are often equal would cancel each other.
    return modulo(value_hash(pack(parts) if len(parts) > 1 else parts[0]), pieces)
