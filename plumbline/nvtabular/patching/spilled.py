"""Tables that the tasks of a fit leave for each other in a folder that all workers see.

A task returns where its tables are, not what is in them. So what is learned of a partition takes no
worker's memory, and a worker that dies takes none of it along. Every attempt at a task writes a
file of its own name, so an attempt that was given up cannot disturb the one that counts.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.ipc
from numpy.typing import NDArray

_PIECES = b"plumbline pieces"
"""The key of a table's metadata: the row at which each piece begins, and the end of the last."""


@dataclass(frozen=True, slots=True)
class Spilled:
    """A file, and the place of each of its tables in it, in bytes."""

    file: str
    starts: Mapping[Any, int]

    def table(self, name: Hashable) -> pa.Table:
        """The table, mapped into memory: what is not used of it is not read."""
        with pa.memory_map(self.file) as source:
            source.seek(self.starts[name])
            return pa.ipc.open_stream(source).read_all()

    def piece(self, name: Hashable, number: int) -> pa.Table:
        """The rows of a table that `in_pieces` made."""
        table = self.table(name)
        bounds = json.loads(table.schema.metadata[_PIECES])
        return table.slice(bounds[number], bounds[number + 1] - bounds[number])


def spill_folder(out_path: str) -> Path:
    """The folder that the tasks of an operator write into; the fit removes it."""
    return Path(out_path) / "spilled"


def spill(folder: Path, tables: Iterable[tuple[Hashable, pa.Table]]) -> Spilled:
    """Write named tables into a new file of an existing folder, one after the other."""
    file = folder / f"{uuid4().hex}.arrow"
    starts = {}
    with pa.OSFile(str(file), "wb") as sink:
        for name, table in tables:
            starts[name] = sink.tell()
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table.combine_chunks())
    return Spilled(str(file), starts)


def in_pieces(table: pa.Table, piece_B: NDArray[np.int64], pieces: int) -> pa.Table:
    """The table, ordered by the number of the piece that each row belongs to, (B,)."""
    order = np.argsort(piece_B, kind="stable")
    bounds = np.concatenate([[0], np.cumsum(np.bincount(piece_B, minlength=pieces))])
    metadata = {_PIECES: json.dumps(bounds.tolist())}
    return table.take(pa.array(order)).replace_schema_metadata(metadata)


def concatenated(tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of one or more tables; those without rows may have other types."""
    return pa.concat_tables([table for table in tables if len(table)] or tables[:1])
