from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st
from pytest import TempPathFactory

from plumbline.columns.typed import typed_schema
from plumbline.rawlogs.parts import TypedWriter

SCHEMA = typed_schema({"x": "integer", "word": "string"})


def rows(first: int, count: int) -> pl.DataFrame:
    numbers = list(range(first, first + count))
    words = [f"w{number}" for number in numbers]
    return pl.DataFrame({"click": [n % 2 for n in numbers], "word": words, "x": numbers})


@given(
    chunks=st.lists(st.integers(0, 25), min_size=1, max_size=6),
    groups=st.integers(1, 5),
    per_group=st.integers(1, 10),
)
def test_parts_hold_all_rows_in_order(
    tmp_path_factory: TempPathFactory, chunks: list[int], groups: int, per_group: int
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    with TypedWriter(folder, SCHEMA, groups * per_group, per_group) as writer:
        for position, count in enumerate(chunks):
            writer.write(rows(sum(chunks[:position]), count))
    total = sum(chunks)
    files = sorted(folder.iterdir())
    sizes = [pq.read_metadata(file).num_rows for file in files]
    assert all(size == groups * per_group for size in sizes[:-1])
    assert (sum(sizes), writer.rows) == (total, total)
    numbers = [number for file in files for number in pq.read_table(file)["x"].to_pylist()]
    assert numbers == list(range(total))


def test_an_error_closes_the_file(tmp_path: Path) -> None:
    try:
        with TypedWriter(tmp_path, SCHEMA, 4, 2) as writer:
            writer.write(rows(0, 3))
            raise KeyError
    except KeyError:
        pass
    assert [pl.read_parquet(file).height for file in tmp_path.iterdir()] == [2]
