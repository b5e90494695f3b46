"""Rows with quoted fields: their ends, in whole text and in parts, and stray quotes."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plumbline.rawlogs.malformed import Fault
from plumbline.rawlogs.raw_rows import read_raw_rows
from plumbline.rawlogs.text import quoting
from plumbline.rawlogs.text.fields import TextRows, split_fields
from plumbline.rawlogs.text.quoting import Dialect, row_ends
from plumbline.settings import Table


def dialect_of(separator: str = ",", quote: str | None = '"', trim: bool = False) -> Dialect:
    table = Table(columns={"y": "label"}, separator=separator, quote=quote, trim=trim)
    return Dialect.of(table)


Read = tuple[list[list[str | None]], list[int], list[Fault]]


def read(text: str, fields: int, dialect: Dialect) -> Read:
    faults: list[Fault] = []
    rows = TextRows.of(text.encode(), 1, dialect)
    found = split_fields(rows, fields, dialect, faults)
    columns = [found.column(position).to_list() for position in range(fields)]
    return [list(row) for row in zip(*columns, strict=True)], found.rows.numbers.tolist(), faults


SCRAPS = st.lists(
    st.sampled_from(['"', '""', ",", ":", "::", ":::", "\n", "\r\n", "\r", "a", " ", "\t", "é"]),
    max_size=30,
).map("".join)


@settings(max_examples=500)
@given(
    text=SCRAPS,
    separator=st.sampled_from([",", "::", "\t", " "]),
    trim=st.booleans(),
    longest=st.sampled_from([3, 1000]),
)
@example(text='a:::"b\n', separator="::", trim=False, longest=1000)
@example(text='"a"\t ,"b\n', separator=",", trim=True, longest=1000)
@example(text='"a""\n\n\n\n"', separator=",", trim=True, longest=3)
def test_rows_found_at_once_are_those_of_a_scan(
    text: str, separator: str, trim: bool, longest: int
) -> None:
    dialect = dialect_of(separator, trim=trim)
    raw = text.encode() + b"\n"
    with patch.object(quoting, "LONGEST_QUOTED_BYTES", longest):
        found = row_ends(raw, dialect)
        ends, faults, start = [], {}, 0
        while start < len(raw):
            scanned = quoting._scan(dialect.marked(raw), start, dialect, is_all=True)
            assert scanned is not None
            if scanned[1] is not None:
                faults[len(ends)] = scanned[1]
            ends.append(scanned[0])
            start = scanned[0] + 1
    assert found.ends.tolist() == ends
    assert found.faults == faults


FIELD = st.text(st.sampled_from('ab1",;:\n\r é'), max_size=6)
TABLES = st.lists(st.tuples(FIELD, FIELD, FIELD), min_size=1, max_size=8)


@settings(max_examples=200)
@given(rows=TABLES, separator=st.sampled_from([",", ";", "::"]), ending=st.sampled_from("\n \r\n"))
def test_quoted_fields_are_read_back(
    rows: list[tuple[str, ...]], separator: str, ending: str
) -> None:
    ending = "\n" if ending == " " else ending if ending == "\n" else "\r\n"
    quoted = [["".join(('"', field.replace('"', '""'), '"')) for field in row] for row in rows]
    text = "".join(separator.join(row) + ending for row in quoted)
    found, numbers, faults = read(text, 3, dialect_of(separator))
    assert faults == []
    assert found == [[field or None for field in row] for row in rows]
    lines = [1 + "".join(row).count("\n") for row in rows]
    assert numbers == [1 + sum(lines[:position]) for position in range(len(rows))]


@settings(max_examples=100)
@given(rows=TABLES)
def test_the_csv_module_reads_the_same(rows: list[tuple[str, ...]]) -> None:
    out = io.StringIO()
    lines = [[field.replace("\r", " ") for field in row] for row in rows]
    csv.writer(out, lineterminator="\n").writerows(lines)
    found, _, faults = read(out.getvalue(), 3, dialect_of())
    assert faults == []
    expected = csv.reader(io.StringIO(out.getvalue(), newline=""))
    assert found == [[field or None for field in row] for row in expected]


@settings(max_examples=100)
@given(
    text=SCRAPS,
    size=st.integers(1, 30),
    trim=st.booleans(),
    longest=st.sampled_from([3, 1000]),
)
@example(text='"a"b\n"a"b\n\n', size=2, trim=False, longest=1000)
def test_a_file_in_blocks_has_the_rows_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, text: str, size: int, trim: bool, longest: int
) -> None:
    file = tmp_path_factory.mktemp("quoted") / "log"
    file.write_bytes(b"1,2\n" + text.encode() + b"\n1,2\n")
    table = Table(columns={"a": "string", "b": "string"}, header=False, quote='"', trim=trim)

    def rows(block_bytes: int) -> tuple[list[object], list[Fault]]:
        read_rows: list[object] = []
        faults: list[Fault] = []
        for raw in read_raw_rows(file, table, ["a", "b"], block_bytes):
            read_rows += zip(raw.numbers.tolist(), raw.columns.rows(), strict=True)
            faults += raw.faults
        return read_rows, sorted(faults)

    with patch.object(quoting, "LONGEST_QUOTED_BYTES", longest):
        assert rows(size) == rows(1 << 20)


@pytest.mark.parametrize(
    ("text", "rows", "faults"),
    [
        ('tv 40" wide,1\na,2\n', [["a", "2"]], [(1, quoting.MISPLACED)]),
        ('a,1\n"open,2\nb,3\nc,4\n', [["a", "1"], ["b", "3"], ["c", "4"]], [(2, quoting.UNCLOSED)]),
        ('a,1\nb,"2\nc,3\nd,4"\ne,5\n', [["a", "1"], ["b", "2\nc,3\nd,4"], ["e", "5"]], []),
        # The quote of line 1 pairs with one in line 3, which opens another field.
        ('"open,1\nb,2\n"c",3\n', [["b", "2"], ["c", "3"]], [(1, quoting.UNCLOSED)]),
        ('1,"\nb,2\n1,"\nc,3\n', [["1", "\nb,2\n1,"], ["c", "3"]], []),
        # Lines that are not valid rows do not count as rows.
        (
            'a,"text\n901,1\nlast "word" here"\nb,2\n',
            [["b", "2"]],
            [(1, quoting.CLOSED_LATE)],
        ),
        (
            'a,"one\ntwo",3\nb,2\n',
            [["b", "2"]],
            [(1, "wanted 2 fields, found 3 in a row of 2 lines")],
        ),
        ('"a"x,1\nb,2\n', [["b", "2"]], [(1, quoting.MISPLACED)]),
        ('\n\n"a\n\nb",1\n\nb,"2', [["a\n\nb", "1"]], [(7, quoting.UNCLOSED)]),
    ],
)
def test_stray_quotes(text: str, rows: list[list[str]], faults: list[tuple[int, str]]) -> None:
    found, _, got = read(text if text.endswith("\n") else text + "\n", 2, dialect_of())
    assert found == rows
    assert [(fault.line, fault.reason) for fault in got] == faults


def test_a_stray_quote_costs_one_line_however_far_the_next_quote() -> None:
    lines = [f"word {i},{i}" for i in range(3000)]
    lines[10] = '"a word,10'
    lines[2000] = '"a, b",2000'
    lines[2500] = "too,many,fields"
    found, numbers, faults = read("\n".join(lines) + "\n", 2, dialect_of())
    assert [fault.line for fault in sorted(faults)] == [11, 2501]
    assert len(found) == 2998
    assert found[1999] == ["a, b", "2000"]
    assert numbers[1999] == 2001


@pytest.mark.parametrize(
    ("text", "separator", "fields"),
    [
        ('1, "a b" ,2\n', ",", ["1", "a b", "2"]),
        ('1,\t"a, b"\t,  2  \n', ",", ["1", "a, b", "2"]),
        ('1\t  " x "\t2 \n', "\t", ["1", " x ", "2"]),
        ("  1  ::  a b  ::\n", "::", ["1", "a b", None]),
        ("1\t\t2\n", "\t", ["1", None, "2"]),
        (' "a\n b" , c, "" \r\n', ",", ["a\n b", "c", None]),
    ],
)
def test_blanks_around_fields(text: str, separator: str, fields: list[str | None]) -> None:
    found, _, faults = read(text, 3, dialect_of(separator, trim=True))
    assert (found, faults) == ([fields], [])


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("1::::2\n", ["1", None, "2"]),
        ("a:::b::c\n", ["a", ":b", "c"]),
        ('"x::y"::a:b::"""::"""\n', ["x::y", "a:b", '"::"']),
    ],
)
def test_separators_of_two_characters(text: str, fields: list[str | None]) -> None:
    found, _, faults = read(text, 3, dialect_of("::"))
    assert (found, faults) == ([fields], [])


def test_a_quoted_field_that_is_longer_than_a_block(tmp_path: Path) -> None:
    file = tmp_path / "log"
    inner = "line\n" * 50_000
    file.write_text(f'a,1\n"{inner}",2\nb,3\n')
    table = Table(columns={"a": "string", "b": "integer"}, header=False, quote='"')
    blocks = read_raw_rows(file, table, ["a", "b"], 1000)
    found = [row for raw in blocks for row in raw.columns.rows()]
    assert found == [("a", "1"), (inner, "2"), ("b", "3")]
