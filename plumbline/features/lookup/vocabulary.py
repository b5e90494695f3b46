"""The values of a categorical column, with their ids and counts in the training split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from plumbline.features.lookup.tables import KeyIndex, write_look_up


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """value: int64 or string without nulls; id: int64, ascending; count: int64; all (V,).

    For a combination of columns, a value is a struct with a field per column. Some of its fields
    may be null, but not all.
    """

    value: pa.Array
    id: pa.Array
    count: pa.Array

    def __len__(self) -> int:
        return len(self.value)

    @property
    def parts(self) -> tuple[pa.Array, ...]:
        """The fields of struct values, or the values themselves."""
        return tuple(self.value.flatten()) if pa.types.is_struct(self.value.type) else (self.value,)

    def write(self, folder: Path, file: str) -> tuple[str, str]:
        """Write the file and its look-up index into a plan folder; returns the SHA-256 of both."""
        table = pa.table({"value": self.value, "id": self.id, "count": self.count})
        return write_look_up(folder, file, KeyIndex(self.parts), table)

    @classmethod
    def read(cls, file: Path) -> Vocabulary:
        table = pq.read_table(file, columns=["value", "id", "count"])
        return cls(*(column.combine_chunks() for column in table.columns))
