"""Reading typed Parquet: null marks become nulls."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from plumbline.columns.typed import read_typed, typed_schema


def test_strings_of_a_file_of_several_chunks_are_read_whole(tmp_path: Path) -> None:
    """Arrow reads dictionary-encoded strings as chunks that are slices of one array."""
    rows = 140_000
    words = ["", "a", None, "bb"] * (rows // 4)
    schema = typed_schema({"s": "string"})
    table = pa.table({"s": words, "click": pa.array([0] * rows, pa.int8())}, schema=schema)
    pq.write_table(table, tmp_path / "part.parquet")
    assert pq.read_table(tmp_path / "part.parquet")["s"].num_chunks > 1
    read = read_typed(tmp_path / "part.parquet", schema)["s"]
    read.validate(full=True)
    assert read.to_pylist() == [None, "a", None, "bb"] * (rows // 4)
