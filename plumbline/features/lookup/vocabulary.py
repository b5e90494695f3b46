"""The values of a categorical column, with their ids and counts in the training split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from plumbline.base.errors import PlanError
from plumbline.columns.parquet import read_columns
from plumbline.features.lookup.tables import KeyIndex, parquet_of, write_look_up


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
    def read(cls, file: Path, rows: int) -> Vocabulary:
        """Raises PlanError if the file is not a vocabulary of `rows` values."""
        with parquet_of(file, rows) as parquet:
            table = read_columns(parquet)
        types = {field.name: field.type for field in table.schema}
        if list(types) != ["value", "id", "count"] or {types["id"], types["count"]} != {pa.int64()}:
            found = ", ".join(f"{name} of {type_}" for name, type_ in types.items())
            raise PlanError.unreadable(str(file), f"wanted values, ids and counts, found {found}")
        return cls(*(column.combine_chunks() for column in table.columns))
