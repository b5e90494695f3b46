"""The values of a categorical column, with their ids and counts in the training split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """value: int64 or string, no nulls; id: int64, ascending from 3; count: int64; all (V,)."""

    value: pa.Array
    id: pa.Array
    count: pa.Array

    def __len__(self) -> int:
        return len(self.value)

    def write(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        table = pa.table({"value": self.value, "id": self.id, "count": self.count})
        pq.write_table(table, file, compression="zstd")

    @classmethod
    def read(cls, file: Path) -> Vocabulary:
        table = pq.read_table(file, columns=["value", "id", "count"])
        return cls(*(column.combine_chunks() for column in table.columns))
