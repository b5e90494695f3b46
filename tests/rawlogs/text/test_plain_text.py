"""Text of any dialect, parsed natively as plain lines, has the general parser's values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.base.native import uses_native
from plumbline.columns.rows import Rows
from plumbline.rawlogs.frames import frame_of_rows
from plumbline.rawlogs.general_parser import Parsed
from plumbline.rawlogs.row_parser import RowParser
from plumbline.rawlogs.text.blocks import TextBlock
from plumbline.rawlogs.text.plain_text import plain_text
from plumbline.rawlogs.text.quoting import Dialect
from plumbline.settings import Config

COLUMNS = {"y": "label", "a": "string", "i": "integer", "b": "string", "x": "continuous"}
NAMES = tuple(COLUMNS)
FILE = Path("log")


def parser_of(**log: Any) -> RowParser:
    config = Config.model_validate(
        {
            "name": "t",
            "log": {"columns": COLUMNS, "header": False, **log},
            "split": {"by": "hash", "valid": 0.2, "test": 0.2},
            "workflow": {"graph": "standard"},
        }
    )
    return RowParser(config, [FILE])


def parse_both(
    text: bytes, constants: dict[str, str | None], **log: Any
) -> tuple[Parsed | None, Parsed]:
    parser = parser_of(**log)
    names = [name for name in NAMES if name not in constants]
    block = TextBlock(text, 0, names, 3, constants=constants)
    return parser._parse_plain(FILE, block), parser._general.parse(FILE, block)


def require_same(plain: Parsed | None, general: Parsed) -> None:
    assert plain is not None
    order = list(general.rows.columns)
    rows = Rows({name: plain.rows.columns[name] for name in order}, plain.rows.click)
    assert frame_of_rows(rows).equals(frame_of_rows(general.rows))
    assert (plain.lines, list(plain.faults)) == (general.lines, list(general.faults))


needs_native = pytest.mark.skipif(not uses_native(), reason="plumbline._native is not in use")
WORDS = st.text(st.sampled_from('ab ,:;"\n\r\té\x1f\x1e'), max_size=6)
LINES = st.lists(st.tuples(WORDS, WORDS, st.booleans()), min_size=1, max_size=6)


@needs_native
@settings(max_examples=300)
@given(
    lines=LINES,
    separator=st.sampled_from([",", "::", ";", "\t"]),
    ending=st.sampled_from(["\n", "\r\n"]),
)
def test_quoted_fields(lines: list[tuple[str, str, bool]], separator: str, ending: str) -> None:
    def field(text: str, is_quoted: bool) -> str:
        if is_quoted or set(text) & {'"', "\n", "\r", *separator}:
            text = '"{}"'.format(text.replace('"', '""'))
        return text

    rows = [
        separator.join([str(i % 2), field(a, more), field(str(i), more), field(b, more), f"{i}.5"])
        for i, (a, b, more) in enumerate(lines)
    ]
    text = "".join(row + ending for row in rows).encode()
    plain, general = parse_both(text, {}, separator=separator, quote='"')
    require_same(plain, general)
    assert general.faults == []


@needs_native
def test_separators_of_several_characters() -> None:
    require_same(*parse_both(b"1::a::2::b:c::0.5\r\n0::::::::\r\n", {}, separator="::"))
    require_same(*parse_both(b"1<=>a<=>2<=>\x1f<=>\n", {}, separator="<=>"))


@needs_native
@pytest.mark.parametrize("y", ["1", None])
def test_constants_of_the_folders(y: str | None) -> None:
    constants: dict[str, str | None] = {"a": "x", "i": "7"} | ({"y": y} if y else {})
    text = b"b,0.5\nc,\n" if y else b"1,b,0.5\n0,c,\n"
    require_same(*parse_both(text, constants))
    require_same(*parse_both(text, {**constants, "a": None}))
    assert parse_both(text, {**constants, "i": "x"})[0] is None


@pytest.mark.parametrize(
    "text",
    [
        '1,a b"\n',
        '1,"a\n',
        '1,"a" ,b\n',
        f'1,"{"".join(map(chr, range(1, 32)))}"\n',
        '1,"a\0"\n',
    ],
)
def test_text_that_is_not_rewritten(text: str) -> None:
    assert plain_text(text.encode(), Dialect(b",", ord('"'), b"")) is None


BLANKS = st.text(" \t", max_size=2)


@needs_native
@settings(max_examples=300)
@given(
    rows=st.lists(st.lists(st.tuples(BLANKS, WORDS, BLANKS), min_size=2, max_size=2), min_size=1),
    separator=st.sampled_from([",", "::", "\t", " ", ", "]),
    ending=st.sampled_from(["\n", "\r\n", " \n"]),
    is_quoted=st.booleans(),
    missing=st.sampled_from([(), (":", "é", "a;")]),
)
def test_blanks_around_fields(rows, separator, ending, is_quoted, missing) -> None:
    def field(before: str, text: str, after: str) -> str:
        if is_quoted:
            return before + '"{}"'.format(text.replace('"', '""')) + after
        for one in ("\n", "\r", '"', separator):
            text = text.replace(one, "")
        return before + text + after

    lines = [
        separator.join(["1", field(*one), "7", field(*two), "0.5"]) + ending for one, two in rows
    ]
    text = "".join(lines).encode()
    plain, general = parse_both(
        text, {}, separator=separator, quote='"', trim=True, missing=missing
    )
    if general.faults:
        assert plain is None
    else:
        require_same(plain, general)


def test_plain_lines_are_not_copied() -> None:
    text = b"1,a\n"
    found = plain_text(text, Dialect(b",", ord('"'), b" "))
    assert found is not None
    assert found.lines is text
