"""Detects the dialect of a text table: encoding, separator, quote and header."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

UNIT = "\x1f"
"""Replaces the separator, which may have several characters, while a text is split."""

_LOOKED_AT = 256 << 10
_SEPARATORS = ("\t", "::", "||", "\x01", UNIT, "|", ";", ",", "^", "~", " ")
"""In order of preference, among those that split the text equally well."""
_QUOTES = ('"', "'")
_SURE = 0.9
_NUMBER = re.compile(r"^[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?$")
_VALUE = re.compile(r"^([+-]?[\d.,]+([eE][+-]?\d+)?|\d{1,4}[-/.:]\d{1,2}[-/.:]\d.*|[0-9a-f]{8,})$")


@dataclass(frozen=True, slots=True)
class SniffedDialect:
    """`agreeing` is the share of sampled lines with the most frequent number of fields."""

    encoding: str
    separator: str
    quote: str | None
    header: bool
    fields: int
    agreeing: float


def encoding_of(text: bytes) -> str:
    """utf-8, utf-16, or the most likely one-byte encoding."""
    if text[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    start = text[:_LOOKED_AT]
    nulls = [start[parity::2].count(0) for parity in (0, 1)]
    if max(nulls) > len(start) // 4:
        return "utf-16-le" if nulls[1] > nulls[0] else "utf-16-be"
    try:
        text.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError as error:
        if error.start >= len(text) - 3:  # the sample may end inside a character
            return "utf-8"
    has_c1 = any(0x80 <= byte < 0xA0 for byte in set(text))
    try:
        text.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252" if has_c1 else "latin-1"


def sniff(text: str, encoding: str) -> SniffedDialect:
    """The dialect in which most lines have the same number of fields, at least two.

    A quote is detected by the fields that it encloses. `text` is the start of the file.
    """
    start = _whole_lines(text)
    best: tuple[tuple[float, ...], SniffedDialect] | None = None
    for position, separator in enumerate(_SEPARATORS):
        if separator not in start:
            continue
        quote = _quote_of(start, separator)
        rows = split_rows(start, separator, quote)
        if not rows:
            continue
        fields, count = Counter(map(len, rows)).most_common(1)[0]
        agreeing = count / len(rows)
        first_agrees = len(rows[0]) == fields
        if fields < 2 or (separator == " " and agreeing < 1.0):
            continue
        rank = (
            float(agreeing >= _SURE) + float(first_agrees),
            float(separator != " "),
            float(_splits_decimals(rows, separator)) * -1.0,
            round(agreeing, 2),
            float(_is_inside(start, separator)) * -1.0,
            float(fields),
            -float(position),
        )
        header = has_header([row for row in rows if len(row) == fields])
        found = SniffedDialect(encoding, separator, quote, header, fields, agreeing)
        if best is None or rank > best[0]:
            best = rank, found
    if best is None:
        lines = start.splitlines()
        header = has_header([[line] for line in lines if line])
        return SniffedDialect(encoding, ",", None, header, 1, 1.0)
    found = best[1]
    if found.quote is None and _is_quoted_later(text, found.separator):
        return replace(found, quote='"')
    return found


def split_rows(text: str, separator: str, quote: str | None) -> list[list[str]]:
    """The fields of each row that is not blank; a quoted row may span lines."""
    lines = io.StringIO(with_unit(text, separator), newline="")
    limit = csv.field_size_limit(1 << 30)
    try:
        if quote is None:
            reader = csv.reader(lines, delimiter=UNIT, quoting=csv.QUOTE_NONE)
        else:
            reader = csv.reader(lines, delimiter=UNIT, quotechar=quote)
        return [row for row in reader if row]
    except csv.Error:
        return [line.split(UNIT) for line in lines.getvalue().splitlines() if line]
    finally:
        csv.field_size_limit(limit)


def with_unit(text: str, separator: str) -> str:
    """The text with `UNIT` as separator, and nowhere else."""
    if separator == UNIT:
        return text
    return text.replace(UNIT, " ").replace(separator, UNIT)


def has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row has the columns' names: its fields differ in type from the others."""
    first = [field.strip() for row in rows[:1] for field in row]
    below = [row for row in rows[1:] if row != rows[0]]  # concatenated files repeat it
    named = [name for name in first if name]
    if len(set(named)) < len(named) or len(named) < len(first) - 1:
        return False
    votes = 0
    for position, name in enumerate(first):
        column = [row[position].strip() for row in below if row[position].strip()]
        values = sum(bool(_VALUE.match(field)) for field in column)
        if column and values > 0.7 * len(column):
            votes += -1 if _VALUE.match(name) else 1
        elif name in column:
            votes -= 1
    return votes > 0 or (votes == 0 and not any(_NUMBER.match(name) for name in first))


def _whole_lines(text: str) -> str:
    if len(text) <= _LOOKED_AT:
        return text
    end = text.rfind("\n", 0, _LOOKED_AT)
    return text[: end + 1] if end > 0 else text[:_LOOKED_AT]


def _quote_of(text: str, separator: str) -> str | None:
    """The character that encloses fields, if any."""
    for quote in _QUOTES:
        if quote not in text:
            continue
        edge = rf"(?:^|$|{re.escape(separator)})"
        mark = re.escape(quote)
        opened = len(re.findall(rf"(?:^|{re.escape(separator)}){mark}", text, re.MULTILINE))
        whole = (
            rf"(?:^|(?<={re.escape(separator)})){mark}(?:[^{mark}]|{mark}{mark})*{mark}(?={edge})"
        )
        closed = len(re.findall(whole, text.replace("\r", ""), re.MULTILINE))
        if opened and closed >= _SURE * opened:
            return quote
    return None


def _is_quoted_later(text: str, separator: str) -> bool:
    """Whether double quotes enclose fields, also after the sampled lines."""
    opened = text.count(f'{separator}"') + text.count('\n"')
    closed = text.count(f'"{separator}') + text.count('"\n') + text.count('"\r')
    return opened > 0 and _SURE <= closed / opened <= 1 / _SURE


def _splits_decimals(rows: Sequence[Sequence[str]], separator: str) -> bool:
    """Whether the comma is a decimal mark, between fields with another separator."""
    if separator != ",":
        return False
    fields = [field for row in rows[1:200] for field in row]
    inside = sum(bool(re.match(r"^\d+[;|\t]-?\d+$", field.strip())) for field in fields)
    return inside > 0.1 * len(fields)


def _is_inside(text: str, separator: str) -> bool:
    """Whether the separator is part of a longer one, as `|` of `||`."""
    return len(separator) == 1 and text.count(separator * 2) * 2 == text.count(separator) > 0
