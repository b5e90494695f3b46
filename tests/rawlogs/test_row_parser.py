"""The native parser gives the values of the general parser, or gives up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plumbline.base.native import SETTING, uses_native
from plumbline.columns.kinds import CLICK, Kind
from plumbline.columns.typed import values_of
from plumbline.columns.value_rules.rules import ValueRules
from plumbline.columns.values import NULL_INT64, Text, Values
from plumbline.rawlogs.convert import convert
from plumbline.rawlogs.raw_rows import parse_text
from plumbline.rawlogs.row_parser import are_plain_rules, parse_lines
from plumbline.rawlogs.text.blocks import TextBlock
from plumbline.settings import Label, Table

needs_native = pytest.mark.skipif(not uses_native(), reason="plumbline._native is not in use")
pytestmark = needs_native

KINDS: dict[str, Kind] = {
    "word": "string",
    "price": "continuous",
    "shop": "integer",
    "hash": "hex",
    "clicked": "label",
}
NAMES = ("word", "price", "unused", "shop", "hash", "clicked")


def parse_generally(
    text: bytes,
    names: tuple[str, ...],
    kinds: dict[str, Kind],
    label: Label,
    **settings: Any,
) -> tuple[dict[str, Values], np.ndarray, int]:
    columns = {name: kinds.get(name, "unused") for name in names}
    table = Table(columns=columns, header=False, separator=",", **settings)
    raw = parse_text(TextBlock(text, 0, names), 1, table, tuple(kinds))
    frame, refused = convert(Path("log"), raw, kinds, label, table)
    arrow = frame.to_arrow()
    values = {name: values_of(arrow[name]) for name in frame.columns if name != CLICK}
    return values, frame[CLICK].to_numpy(), len(raw.faults) + len(refused)


def parse_natively(
    text: bytes,
    names: tuple[str, ...] = NAMES,
    kinds: dict[str, Kind] = KINDS,
    encoding: str = "utf-8",
    missing: tuple[str, ...] = (),
    clicks: tuple[str, ...] = (),
) -> dict[str, Values] | None:
    """The result of parse_lines, checked against the general parser."""
    parsed = parse_lines(text, ",", names, kinds, encoding, missing, clicks)
    if parsed is not None:
        values, click, faults = parse_generally(
            text,
            names,
            kinds,
            Label(click=clicks),
            encoding=encoding,
            missing=missing,
        )
        assert faults == 0
        assert list(parsed) == list(kinds)
        for name, column in parsed.items():
            assert_same(column, click if kinds[name] == "label" else values[name])
    return parsed


def assert_same(one: Values, other: Values) -> None:
    if isinstance(one, Text):
        assert isinstance(other, Text)
        assert one.to_objects().tolist() == other.to_objects().tolist()
        return
    assert isinstance(one, np.ndarray)
    assert isinstance(other, np.ndarray)
    assert one.dtype == other.dtype
    if one.dtype == np.float32:  # the sign of zero counts
        one, other = (np.where(np.isnan(x), np.nan, x).view(np.int32) for x in (one, other))
    assert one.tolist() == other.tolist()


def digits(most: int, least: int = 1) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=least, max_size=most)


sign = st.sampled_from(["", "-"])
numbers = st.builds(str.__add__, sign, digits(15)) | st.builds(
    lambda sign, whole, part: f"{sign}{whole}.{part}", sign, digits(7), digits(8)
)
words = st.text(st.characters(exclude_characters=",\n\r\0", exclude_categories=["Cs"]), max_size=30)
plain_line = st.tuples(
    words,
    st.just("") | numbers,
    words,
    st.just("") | st.builds(str.__add__, sign, digits(15)),
    st.text("0123456789abcdefABCDEF", max_size=15),
    st.sampled_from("01"),
)
odd_field = st.sampled_from(
    [
        "",
        "-",
        "+1",
        "1e5",
        "1.",
        ".5",
        "1.2.3",
        "--1",
        "1-",
        " 1",
        "1 ",
        "nan",
        "inf",
        "0x1f",
        "g",
        "é",
        "2",
        "01",
        "1\r",
        "\r",
        '"x"',
        'a"b',
        "\x00",
        "-0",
        "00000000",
        ":",
        "/",
        "-00000001.50",
        "G",
        "`",
        "@",
        "\x11",
        "111111111",
        "1111111111111111",
        "-9999999999999999",
        "ffffffffffffffff",
        "9999999999999999999",
        "7fffffffffffffff",
        "0000000000000000000000001",
    ]
)


def text_of(lines: list[tuple[str, ...]]) -> bytes:
    return "".join(",".join(line) + "\n" for line in lines).encode()


def test_a_byte_order_mark_inside_a_file_is_text() -> None:
    """A block may begin anywhere in a file; the mark at the file's start is removed before."""
    parsed = parse_natively("\ufeffa,1,b,2,ff,0\n".encode())
    assert parsed is not None
    words = parsed[NAMES[0]]
    assert isinstance(words, Text)
    assert words.to_objects().tolist() == ["\ufeffa".encode()]


@settings(max_examples=200)
@given(st.lists(plain_line, min_size=1, max_size=20))
@example([("", "", "", "", "", "0")])
@example([("", "-0", "", "-0", "0", "0"), ("x", "16777217", "", "-00", "", "1")])
def test_plain_lines_are_parsed(lines: list[tuple[str, ...]]) -> None:
    assert parse_natively(text_of(lines)) is not None


@settings(max_examples=300)
@given(
    st.lists(plain_line, min_size=1, max_size=4),
    st.integers(0, 3),
    st.integers(0, 5),
    odd_field,
)
def test_odd_fields_are_parsed_alike_or_not_at_all(
    lines: list[tuple[str, ...]], line: int, field: int, odd: str
) -> None:
    changed = list(lines[line % len(lines)])
    changed[field] = odd
    lines[line % len(lines)] = tuple(changed)
    parse_natively(text_of(lines))


@settings(max_examples=300)
@given(st.binary(max_size=40), st.integers(0, 200))
def test_damaged_bytes_are_parsed_alike_or_not_at_all(odd: bytes, position: int) -> None:
    text = b"word,1.5,,7,ff,1\nanother,,,,,0\n" * 3
    position %= len(text)
    parse_natively(text[:position] + odd + text[position + len(odd) // 2 :].rstrip(b"\n") + b"\n")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"a,1,,7,ff,1",
        b"\n",
        b"a,1,,7,ff,1\n\n",
        b"a,1,,7,ff\n",
        b"a,1,,7,ff,1,\n",
        b"a,1,,7,ff\n,1,a,1,,7,ff,1\n",
        b"a,1,,7,ff,1\r\n",
        b"a\0,1,,7,ff,1\n",
        b"\xff,1,,7,ff,1\n",
        b"\xc0\xaf,1,,7,ff,1\n",
        b"\xed\xa0\x80,1,,7,ff,1\n",
        b"\xf4\x90\x80\x80,1,,7,ff,1\n",
        b"a,1,\xe2\x82,7,ff,1\n",
        b"a,1,,7,ff,2\n",
        b"a,1,,7,ff,\n",
        b"a,x,,7,ff,1\n",
        b"a,1,,1.5,ff,1\n",
        b"a,1,,7,fg,1\n",
    ],
)
def test_blocks_that_are_not_plain_are_not_parsed(text: bytes) -> None:
    assert parse_natively(text) is None


WORD_KINDS: dict[str, Kind] = {**KINDS, "seen": "boolean"}
MISSING = ("NA", "NULL", "-", "n/a", "\\N", "no", "x" * 70)
CLICKS = ("yes", "Purchase", "bought it", "ja")
BOOLEANS = ("true", "FALSE", "t", "F", "yes", "No", "Y", "n", "on", "oFF", "1", "0", "")
maybe = st.sampled_from(MISSING)
worded_line = st.tuples(
    words | maybe,
    st.just("") | numbers | maybe,
    st.just("") | st.builds(str.__add__, sign, digits(15)) | maybe,
    st.text("0123456789abcdefABCDEF", max_size=15) | maybe,
    st.sampled_from(BOOLEANS) | maybe,
    st.sampled_from(["0", "1"]),
)


def is_parsed(lines: list[list[str]], missing: tuple[str, ...], clicks: tuple[str, ...]) -> bool:
    """Whether the native parser parses the lines, then to the general parser's values."""
    text, names = "".join(",".join(line) + "\n" for line in lines).encode(), tuple(WORD_KINDS)
    order = {name: WORD_KINDS[name] for name in names}
    return parse_natively(text, names, order, missing=missing, clicks=clicks) is not None


def reordered(line: tuple[str, ...], label: str) -> list[str]:
    word, price, shop, hash_, seen, _ = line
    return [word, price, shop, hash_, label, seen]


@settings(max_examples=200)
@given(
    st.lists(worded_line, min_size=1, max_size=10),
    st.sampled_from([("1", "0", "true", "FALSE"), (*CLICKS, "never", "yes!", "1e1000", "-")]),
    st.data(),
)
def test_words_are_parsed(lines: list[tuple[str, ...]], labels: tuple[str, ...], data: Any) -> None:
    clicks = CLICKS if "yes" in labels else ()
    drawn = [reordered(line, data.draw(st.sampled_from(labels))) for line in lines]
    assert is_parsed(drawn, MISSING, clicks) == all(line[4] != "-" for line in drawn)


@settings(max_examples=300)
@given(
    worded_line,
    st.integers(0, 5),
    odd_field
    | st.sampled_from(["NA ", "\tyes", "na", "TRUE", "tru", "yes", "yés", "[", "falsely"]),
    st.booleans(),
    st.booleans(),
)
def test_odd_words_are_parsed_alike_or_not_at_all(
    line: tuple[str, ...], field: int, odd: str, is_worded: bool, has_missing: bool
) -> None:
    changed = reordered(line, "ja" if is_worded else "1")
    changed[field] = odd
    clicks, missing = CLICKS if is_worded else (), MISSING if has_missing else ()
    is_parsed([changed], missing, clicks)


@pytest.mark.parametrize(
    ("rules", "label", "are_plain"),
    [
        (ValueRules(), Label(), True),
        (ValueRules(missing=("NA", "?", "-")), Label(click=("yes", "sí")), True),
        (ValueRules(missing=("-1",)), Label(), False),
        (ValueRules(missing=("NA", "ff")), Label(), False),
        (ValueRules(missing=(" NA",)), Label(), False),
        (ValueRules(missing=("N\nA",)), Label(), False),
        (ValueRules(decimal=","), Label(), False),
        (ValueRules(thousands="'"), Label(), False),
        (ValueRules(), Label(click=("yes", "1e0")), False),
        (ValueRules(), Label(click=("yes ",)), False),
        (ValueRules(), Label(at_least=4), False),
    ],
)
def test_plain_rules(rules: ValueRules, label: Label, are_plain: bool) -> None:
    assert are_plain_rules(rules, label) == are_plain


def test_values() -> None:
    parsed = parse_natively("né,-1.5,x,-12,Ff,1\n,,,,,0\n".encode())
    assert parsed is not None
    assert parsed["price"].tolist()[0] == -1.5  # type: ignore[union-attr]
    assert np.isnan(parsed["price"][1])  # type: ignore[index]
    assert parsed["shop"].tolist() == [-12, NULL_INT64]  # type: ignore[union-attr]
    assert parsed["hash"].tolist() == [255, NULL_INT64]  # type: ignore[union-attr]
    assert parsed["clicked"].tolist() == [1, 0]  # type: ignore[union-attr]


def test_blocks_larger_than_a_tile() -> None:
    random = np.random.default_rng(0)
    lines = [
        (f"w{i}" * (i % 9), f"{random.normal():.6f}", "x" * (i % 70), f"{i - 50}", f"{i:x}", "1")
        for i in range(6000)
    ]
    lines[3000] = ("long" * 50_000, *lines[0][1:])
    assert parse_natively(text_of(lines)) is not None


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_other_encodings_are_parsed_if_the_text_is_ascii(encoding: str) -> None:
    assert parse_natively(b"a,1,,7,ff,1\n", encoding=encoding) is not None
    assert parse_natively("né,1,,7,ff,1\n".encode(encoding), encoding=encoding) is None
    assert parse_natively("a,1,,7,ff,1\n".encode("utf-16-le"), encoding="utf-16-le") is None


def test_one_field_alone() -> None:
    parsed = parse_natively(b"1\n0\n", ("clicked",), {"clicked": "label"})
    assert parsed is not None
    assert parsed["clicked"].tolist() == [1, 0]  # type: ignore[union-attr]


def test_other_kinds_need_the_general_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_lines(b"1\n", ",", ["a"], {"a": "time"}) is None
    assert parse_lines(b"1\n", ",", ["a"], {"a": "integer"}) is not None
    monkeypatch.setenv(SETTING, "0")
    assert parse_lines(b"1\n", ",", ["a"], {"a": "integer"}) is None
