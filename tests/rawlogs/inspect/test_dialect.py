"""The dialect of a text table is detected."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.rawlogs.inspect.dialect import encoding_of, sniff, split_rows

ROWS = 40


def table(separator: str, header: list[str] | None, rows: list[list[str]]) -> str:
    lines = [separator.join(row) for row in ([header] if header else []) + rows]
    return "\n".join(lines) + "\n"


def numbers(columns: int) -> list[list[str]]:
    drawn = random.Random(1)
    return [[str(drawn.randint(0, 9_999)) for _ in range(columns)] for _ in range(ROWS)]


@pytest.mark.parametrize("separator", ["\t", ",", ";", "|", "::", "||", "\x01", "\x1f", "^"])
@pytest.mark.parametrize("header", [None, ["click", "user", "price"]])
def test_the_separator_and_the_header_are_detected(
    separator: str, header: list[str] | None
) -> None:
    found = sniff(table(separator, header, numbers(3)), "utf-8")
    assert (found.separator, found.fields, found.header) == (separator, 3, header is not None)


def test_adjacent_empty_fields_are_not_a_longer_separator() -> None:
    rows = [[str(i), f"title {i}", "", "", "1"] for i in range(ROWS)]
    found = sniff(table("|", None, rows), "utf-8")
    assert (found.separator, found.fields) == ("|", 5)


def test_semicolons_win_over_decimal_commas() -> None:
    rows = [[f"{i},5", f"{i * 3},25", str(i % 2)] for i in range(ROWS)]
    for header in (None, ["a", "b", "y"]):
        found = sniff(table(";", header, rows), "utf-8")
        assert (found.separator, found.fields) == (";", 3)


def test_lists_inside_a_field_do_not_split_it() -> None:
    rows = [[str(i), "a|b|c", str(i % 2)] for i in range(ROWS)]
    assert sniff(table(",", ["id", "tags", "y"], rows), "utf-8").separator == ","


def test_tabs_win_over_commas_in_text() -> None:
    rows = [[str(i), "well, yes" * (i % 3), str(i % 2)] for i in range(ROWS)]
    assert sniff(table("\t", None, rows), "utf-8").separator == "\t"


@pytest.mark.parametrize("quote", ['"', "'"])
def test_quotes_are_those_around_fields(quote: str) -> None:
    rows = [[f"{quote}a,b{i}{quote}", f"{quote}{i}{quote}", str(i % 2)] for i in range(ROWS)]
    found = sniff(table(",", ["t", "n", "y"], rows), "utf-8")
    assert (found.quote, found.fields) == (quote, 3)


def test_inches_and_apostrophes_are_text() -> None:
    rows = [[f'{i}"', "don't", str(i % 2)] for i in range(ROWS)]
    assert sniff(table(",", ["size", "t", "y"], rows), "utf-8").quote is None


def test_quoted_fields_of_several_lines_are_one_row() -> None:
    rows = [[f'"one\ntwo, {i}"', str(i % 2)] for i in range(ROWS)]
    found = sniff(table(",", ["t", "y"], rows), "utf-8")
    assert (found.quote, found.fields, found.agreeing) == ('"', 2, 1.0)


def test_a_quote_far_after_the_sample_is_detected() -> None:
    plain = table(",", ["t", "y"], [[f"word {i}", str(i % 2)] for i in range(40_000)])
    assert sniff(plain + '"a, b",1\n', "utf-8").quote == '"'


def test_repeated_words_are_values_not_names() -> None:
    rows = [["red", "small"], ["blue", "large"], ["red", "large"], ["blue", "small"]] * 10
    assert sniff(table(",", None, rows), "utf-8").header is False
    assert sniff(table(",", ["colour", "size"], rows), "utf-8").header is True


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("größe,y\n1,0\n".encode(), "utf-8"),
        ("größe,y\n1,0\n".encode("latin-1"), "latin-1"),
        ("größe “a”,y\n1,0\n".encode("cp1252"), "cp1252"),
        ("größe,y\n1,0\n".encode("utf-16"), "utf-16"),
        ("groesse,y\n1,0\n".encode("utf-16-le"), "utf-16-le"),
        ("groesse,y\n1,0\n".encode("utf-16-be"), "utf-16-be"),
        ("a character cut by the sample's end ü".encode()[:-1], "utf-8"),
    ],
)
def test_encodings(text: bytes, encoding: str) -> None:
    assert encoding_of(text) == encoding


@given(st.text(min_size=1, max_size=300), st.sampled_from(["utf-8", "latin-1"]))
def test_any_text_has_a_dialect(text: str, encoding: str) -> None:
    found = sniff(text, encoding)
    assert found.fields >= 1
    split_rows(text, found.separator, found.quote)


@given(st.binary(max_size=300))
def test_any_bytes_have_an_encoding(text: bytes) -> None:
    text.decode(encoding_of(text), errors="replace")
