"""Files of rows: what is read from them, and what is told of a file that does not fit."""

import bz2
import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.errors import DataError
from features.wire import WireColumns
from serving.score import row_files
from serving.score.row_files import RowFile, TextForm

WANTED = WireColumns.of(
    {
        "x": "continuous",
        "h": "hex",
        "i": "integer",
        "s": "string",
        "t": "string_list",
        "n": "integer_list",
    }
)
LISTS = TextForm(list_separator="|")
TEXT = b'i,x,h,s,t,n,other\n1,0.5,ff,a,u|v,1|2,z\n,,,"",,,\n3,2,0,"q,r",u||w,7||8,z\n'
ROWS = [
    {"i": 1, "x": 0.5, "h": "ff", "s": "a", "t": ["u", "v"], "n": [1, 2]},
    dict.fromkeys(WANTED.names),
    {"i": 3, "x": 2.0, "h": "0", "s": "q,r", "t": ["u", "", "w"], "n": [7, None, 8]},
]


def pieces(file: Path, form: TextForm = LISTS, rows: int = 2) -> list[pa.Table]:
    opened = RowFile(file, WANTED, form, rows)
    try:
        return list(opened)
    finally:
        opened.close()


def values(found: list[pa.Table]) -> list[dict[str, Any]]:
    """A null list is an empty one, whichever way it is told."""
    rows = [row for piece in found for row in piece.to_pylist()]
    return [{n: None if value == [] else value for n, value in row.items()} for row in rows]


@pytest.mark.parametrize(
    "content",
    [TEXT, b"\xef\xbb\xbf" + TEXT, gzip.compress(TEXT), bz2.compress(TEXT)],
    ids=["plain", "byte order mark", "gzip", "bzip2"],
)
def test_text_in_all_its_forms(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "rows").write_bytes(content)
    found = pieces(tmp_path / "rows")
    assert [len(piece) for piece in found] == [2, 1]
    assert values(found) == ROWS


def test_parquet_in_pieces(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([{**row, "other": 1} for row in ROWS])
    pq.write_table(table, tmp_path / "rows")
    found = pieces(tmp_path / "rows", TextForm())
    assert [len(piece) for piece in found] == [2, 1]
    assert values(found) == ROWS


def test_whole_numbers_of_pandas_in_parquet(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(ROWS)
    place = table.column_names.index("i")
    floats = table.set_column(place, "i", table["i"].cast(pa.float64()))
    pq.write_table(floats, tmp_path / "rows")
    assert values(pieces(tmp_path / "rows", TextForm())) == ROWS
    pq.write_table(table.set_column(place, "i", pa.array([0.5, None, 1.0])), tmp_path / "rows")
    with pytest.raises(DataError, match=r"Column 'i': Float value 0.5.* was truncated"):
        pieces(tmp_path / "rows", TextForm())


def test_parquet_needs_no_form(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "rows")
    for form in (TextForm(columns=("a",)), TextForm("\t"), LISTS):
        with pytest.raises(DataError, match="a Parquet file tells of its columns"):
            pieces(tmp_path / "rows", form)


def test_a_file_without_a_header(tmp_path: Path) -> None:
    (tmp_path / "rows.tsv.gz").write_bytes(TEXT.split(b"\n", 1)[1].replace(b",", b"\t"))
    names = ("i", "x", "h", "s", "t", "n", "other")
    found = values(pieces(tmp_path / "rows.tsv.gz", TextForm(None, names, "|")))
    assert found == [*ROWS[:2], {**ROWS[2], "s": "q\tr"}]


def test_no_rows(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(TEXT.split(b"\n", 1)[0] + b"\n")
    assert pieces(tmp_path / "rows") == []


def test_an_empty_line_is_a_row_only_where_there_is_one_column(tmp_path: Path) -> None:
    file = tmp_path / "rows"
    file.write_bytes(b"x\n1\n\n2\n")
    found = list(RowFile(file, WireColumns.of({"x": "continuous"}), TextForm(), 9))
    assert values(found) == [{"x": 1.0}, {"x": None}, {"x": 2.0}]
    file.write_bytes(TEXT + b"\n")
    assert values(pieces(file)) == ROWS


def test_lines_are_counted_over_the_blocks_that_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_files, "_BLOCK_BYTES", 200)
    line = b"1,0.5,ff,a,u,1,z\n"
    (tmp_path / "rows").write_bytes(TEXT + line * 500)
    assert len(values(pieces(tmp_path / "rows", rows=7))) == 503
    (tmp_path / "rows").write_bytes(TEXT + line * 500 + b"x" + line)
    with pytest.raises(DataError, match=r"rows: Column 'i': Row #505: .*invalid value 'x1'"):
        pieces(tmp_path / "rows")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"the file lacks: x, h, i, s, n, t\. It has no columns"),
        (b"i,x,s,t,n\n", r"the file lacks: h\. It has i, x, s, t, n"),
        (b"i,i,x,h,s,t,n\n", "more than one column is called i"),
        (TEXT + b"x,1,f,a,,,\n", r"Column 'i': Row #5: .*to int64: invalid value 'x'"),
        (TEXT + b"1,2\n", r"Row #5: Expected 7 columns, got 2: 1,2"),
        (TEXT + b"1,2,f,\xff\xfe,,,\n", r"Column 's': Row #5: .*invalid UTF8"),
        (TEXT + b"1,2,f,a,,x|1,\n", r"Column 'n': .*'x'"),
        (gzip.compress(TEXT, mtime=0)[:-12], "header line cannot be read .*Truncated"),
        (b"\x00\xff\xfe" * 50, "header line cannot be read as text"),
        (b"PAR1abcd", "not a Parquet file"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "rows").write_bytes(content)
    with pytest.raises(DataError, match=message):
        pieces(tmp_path / "rows")


def test_lists_in_text_need_their_separator(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(TEXT)
    with pytest.raises(DataError, match=r"wants lists in n, t\. Name the character"):
        pieces(tmp_path / "rows", TextForm())


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.csv: wanted a CSV or Parquet file \(No such file"):
        pieces(tmp_path / "none.csv")
    with pytest.raises(DataError, match=r"wanted a CSV or Parquet file \(Is a directory"):
        pieces(tmp_path)
