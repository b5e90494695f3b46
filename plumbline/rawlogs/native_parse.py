"""Blocks of plain text to typed columns in one pass, where nothing in them is in doubt.

A block that has any doubtful line is left to the general path (`plumbline.rawlogs.raw_rows`,
`plumbline.rawlogs.values`), whose results are the meaning; on a plain block both give the same.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.base.native import native, uses_native
from plumbline.columns.kinds import Kind
from plumbline.columns.value_rules.rules import ValueRules
from plumbline.columns.value_rules.text_values import BLANKS, click_numbers
from plumbline.columns.values import Text, Values
from plumbline.settings import Label

NATIVE_KINDS = frozenset({"continuous", "integer", "hex", "boolean", "string", "label"})
"""What the native form parses; a block with another wanted kind goes the general way."""

_ASCII_COMPATIBLE = frozenset({"ascii", "iso8859-1", "iso8859-15", "cp1250", "cp1251", "cp1252"})


@dataclass(frozen=True, slots=True)
class ParsedBlock:
    """A block's rows.

    `columns` holds the wanted columns by name: continuous float32 (B,), integer, hex and boolean
    int64 (B,), string `Text`; `click` is the label, int8 (B,), None where no label was wanted.
    """

    columns: dict[str, Values]
    click: NDArray[np.int8] | None
    rows: int


def are_plain_rules(rules: ValueRules, label: Label) -> bool:
    """Whether words alone, which are no numbers, tell missing values and clicks.

    A number stands for all ways to write it, which is left to the general path.
    """
    are_numbers = rules.missing_numbers or rules.missing_hexadecimals or click_numbers(label.click)
    if are_numbers or not rules.has_plain_numbers or label.at_least is not None:
        return False
    words = (*rules.missing, *label.click)
    return all(word.isprintable() and word == word.strip(BLANKS) for word in words)


def parse_block(
    text: bytes | bytearray | memoryview,
    separator: str,
    names: Sequence[str],
    kinds: Mapping[str, Kind],
    quote: str | None = None,
    encoding: str = "utf-8",
    missing: Sequence[str] = (),
    clicks: Sequence[str] = (),
) -> ParsedBlock | None:
    r"""Parse whole lines, each ended by `\n`; None where the general path has to.

    Parameters
    ----------
    text
        The lines, without header or byte order mark.
    names
        The fields' names, in the file's order.
    kinds
        The wanted columns' kinds.
    quote
        The character that a field may be quoted with; a block that has one goes the general way.
    encoding
        In another than UTF-8, only blocks of plain ASCII are parsed, and that only where ASCII is a
        part of it.
    missing, clicks
        The words for missing values, and of the label the words that are clicks, where it is not 0
        and 1, or true and false; both as `are_plain_rules` wants them.

    Examples
    --------
    >>> parse_block(b"1;x;0a\n0;;\n", ";", ["y", "s", "h"], {"h": "hex", "y": "label"}).columns
    {'h': array([                  10, -9223372036854775808])}
    """
    codec = codecs.lookup(encoding).name
    is_utf8 = codec in ("utf-8", "utf-8-sig")
    if not uses_native() or not (is_utf8 or codec in _ASCII_COMPATIBLE):
        return None
    if not kinds or not set(kinds.values()) <= NATIVE_KINDS:
        return None
    if not (separator + (quote or "")).isascii():
        return None
    fields: list[str] = [kinds.get(name, "skip") for name in names]
    if clicks:
        fields = ["clicks" if field == "label" else field for field in fields]
    quote_byte = -1 if quote is None else ord(quote)
    arrays = native.parse_lines(
        text, ord(separator), quote_byte, not is_utf8, fields, list(missing), list(clicks)
    )
    if arrays is None:
        return None
    found: dict[str, Any] = {
        name: Text(*array) if isinstance(array, tuple) else array
        for name, array in zip(names, arrays, strict=True)
        if array is not None
    }
    rows = len(next(iter(found.values())))
    click = next((found[name] for name, kind in kinds.items() if kind == "label"), None)
    columns = {name: found[name] for name, kind in kinds.items() if kind != "label"}
    return ParsedBlock(columns, click, rows)
