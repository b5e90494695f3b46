from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.rawlogs.malformed import Fault
from plumbline.rawlogs.text.fields import TextRows, split_fields
from plumbline.rawlogs.text.quoting import Dialect
from plumbline.settings import Table


def check(text: str, fields: int, quote: str | None = None) -> tuple[str, list[int], list[Fault]]:
    faults: list[Fault] = []
    dialect = Dialect.of(Table(columns={"y": "label"}, quote=quote))
    rows = TextRows.of(text.encode(), 1, dialect)
    kept = split_fields(rows, fields, dialect, faults).rows
    bounds = zip(kept.starts, kept.ends, strict=True)
    lines = [kept.text[start:end].decode() + "\n" for start, end in bounds]
    return "".join(lines), kept.numbers.tolist(), faults


def test_wrong_numbers_of_fields_and_blank_lines() -> None:
    kept, numbers, faults = check("a,b\n\na\n,\na,b,c\nc,d\n", 2)
    assert (kept, numbers) == ("a,b\n,\nc,d\n", [1, 4, 6])
    assert faults == [Fault(3, "wanted 2 fields, found 1"), Fault(5, "wanted 2 fields, found 3")]


def test_a_carriage_return_inside_a_line() -> None:
    kept, _, faults = check("a,b\rc,d\ne,f\n", 2)
    assert (kept, faults) == ("e,f\n", [Fault(1, "a carriage return inside the line")])


def test_no_quote_character_means_that_quotes_are_text() -> None:
    assert check('"a,b\n', 2) == ('"a,b\n', [1], [])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('"a,b', "a quoted field without its closing quote"),
        ('a"b"c,d', "a quote that neither opens nor closes a field"),
        ('"a"b,c', "a quote that neither opens nor closes a field"),
        ('"a,b"', "wanted 2 fields, found 1"),
    ],
)
def test_misplaced_quotes_stay_on_their_line(line: str, reason: str) -> None:
    kept, numbers, faults = check(f'"x",y\n{line}\n"1,2","3"\n', 2, quote='"')
    assert (kept, numbers) == ('"x",y\n"1,2","3"\n', [1, 3])
    assert faults == [Fault(2, reason)]


TEXTS = st.text(st.sampled_from('ab",é'), max_size=4)


@given(rows=st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=6))
def test_what_the_csv_module_quotes_is_well_formed(rows: list[tuple[str, str, str]]) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    kept, numbers, faults = check(out.getvalue(), 3, quote='"')
    assert (kept, faults) == (out.getvalue(), [])
    assert numbers == list(range(1, len(rows) + 1))
