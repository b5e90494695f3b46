"""Lists in text logs, flags that become lists, and lists of side tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.columns.kinds import Kind
from plumbline.columns.typed import check_types, typed_schema
from plumbline.rawlogs.convert import convert
from plumbline.rawlogs.ingest import Ingested
from plumbline.rawlogs.malformed import Fault
from plumbline.rawlogs.raw_rows import read_raw_rows
from plumbline.settings import Config, Label, Table

KINDS: dict[str, Kind] = {
    "y": "label",
    "tags": "string_list",
    "shops": "integer_list",
    "hashes": "hex_list",
}
WORDS = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n\0|\t"), min_size=1, max_size=4
)


def read(file: Path, table: Table, block_bytes: int = 1 << 20) -> tuple[pl.DataFrame, list[Fault]]:
    frames, faults = [], []
    for raw in read_raw_rows(file, table, tuple(table.columns), block_bytes):
        frame, refused = convert(file, raw, table.columns, Label(), table)
        frames.append(frame)
        faults += [*raw.faults, *refused]
    return pl.concat(frames), faults


def in_file(elements: list[Any]) -> str:
    return "|".join("" if element is None else str(element) for element in elements)


def read_back(elements: list[Any]) -> list[Any]:
    """In text, a list of one missing element equals an empty one."""
    return [] if elements == [None] else elements


@settings(max_examples=50)
@given(
    rows=st.lists(
        st.tuples(
            st.lists(st.none() | WORDS, max_size=4),
            st.lists(st.none() | st.integers(-(2**63) + 1, 2**63 - 1), max_size=4),
            st.lists(st.none() | st.integers(0, 2**63 - 1), max_size=4),
        ),
        min_size=1,
        max_size=12,
    ),
    block_bytes=st.integers(1, 300),
)
def test_lists_in_text_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], block_bytes: int
) -> None:
    file = tmp_path_factory.mktemp("text") / "log"
    lines = [
        f"1\t{in_file(t)}\t{in_file(n)}\t{in_file([None if v is None else f'{v:x}' for v in h])}\n"
        for t, n, h in rows
    ]
    file.write_text("".join(lines), encoding="utf-8")
    table = Table(columns=KINDS, separator="\t", header=False, list_separator="|")
    frame, faults = read(file, table, block_bytes)
    assert faults == []
    assert frame.drop("click").rows() == [tuple(map(read_back, row)) for row in rows]


def test_a_quoted_list_and_a_malformed_element(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text('1,"a;b",1;2,f;0\n0,"x,y;",;,\n1,,1;x,\n0,,,g\n')
    table = Table(columns=KINDS, header=False, list_separator=";", quote='"')
    frame, faults = read(file, table)
    assert frame.rows() == [(1, ["a", "b"], [1, 2], [15, 0]), (0, ["x,y", None], [None, None], [])]
    wanted = "up to 16 hexadecimal digits"
    assert faults == [
        Fault(3, "column 'shops': wanted a list, each element a 64-bit integer, found '1;x'"),
        Fault(4, f"column 'hashes': wanted a list, each element {wanted}, found 'g'"),
    ]


def test_flags_become_the_names_of_those_that_are_one(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text("1,0,1,1,a\n0,0,0,0,b\n1,1,,1,c\n1,2,0,0,d\n1,x,0,0,e\n")
    table = Table(
        columns={"y": "label", "F1..F3": "flag", "word": "string"},
        header=False,
        multi_hot={"odd": ("F3", "F1"), "even": ("F2",)},
    )
    frame, faults = read(file, table)
    assert frame.columns == ["click", "word", "odd", "even"]
    assert frame.rows() == [
        (1, "a", ["F3"], ["F2"]),
        (0, "b", [], []),
        (1, "c", ["F3", "F1"], []),
    ]
    assert faults == [
        Fault(4, "column 'F1': wanted flag 0 or 1, found '2'"),
        Fault(5, "column 'F1': wanted flag 0 or 1, found 'x'"),
    ]


def test_lists_reach_every_split_through_a_side_table(
    make_config: Callable[..., Config],
    ingest_text: Callable[..., Ingested],
    split_rows: Callable[[str], pl.DataFrame],
    tmp_path: Path,
) -> None:
    (tmp_path / "films.txt").write_text("0|1|0|drama;noir\n1|0|0|\n2|1|1|;\n")
    films = {
        "file": "films.txt",
        "separator": "|",
        "header": False,
        "list_separator": ";",
        "columns": {"film": "key", "old": "flag", "new": "flag", "tags": "string_list"},
        "multi_hot": {"ages": ["old", "new"]},
    }
    log = {"columns": {"y": "label", "film": "integer"}, "header": False}
    config = make_config(log, tables={"films": films})
    ingest_text(config, "\n".join(f"{i % 2},{i % 4}" for i in range(20)))
    assert list(config.features) == ["film", "tags", "ages"]
    rows = pl.concat([split_rows(split) for split in ("train", "valid", "test")])
    expected = {
        0: (["drama", "noir"], ["old"]),
        1: ([], []),
        2: ([None, None], ["old", "new"]),
        3: ([], []),  # no such key
    }
    assert rows.drop("click").rows() == [(i % 4, *expected[i % 4]) for i in range(20)]
    for file in (tmp_path / "out").rglob("part-*.parquet"):
        check_types(file, typed_schema(config.features))
        assert pq.read_table(file)["tags"].null_count == 0
