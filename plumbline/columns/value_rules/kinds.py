"""The types of a column that each kind takes, and what text it takes: `docs/kinds.md` shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from plumbline.columns.kinds import ELEMENT_KINDS, Kind

Family = Literal["text", "numbers", "booleans", "dates", "lists"]

FAMILIES: Mapping[Family, str] = {
    "text": "string, large and view types, binary that is UTF-8, dictionaries of these",
    "numbers": "signed and unsigned integers, floats, decimals",
    "booleans": "bool",
    "dates": "date32, date64, timestamp of any unit and zone",
    "lists": "list, large list, list view, fixed-size list of the types above",
}


@dataclass(frozen=True, slots=True)
class KindForms:
    """What a kind takes: text, families of types; and what it becomes."""

    text: str
    families: tuple[Family, ...]
    becomes: str
    wanted: str
    """As a message says it."""


_ALL_BUT_DATES: tuple[Family, ...] = ("text", "numbers", "booleans")

INTEGER = "a 64-bit integer"
HEX = "up to 16 hexadecimal digits"
STRING = "text or a whole number"
BOOLEAN = "a boolean: true or false, yes or no, on or off, 1 or 0"

FORMS: Mapping[Kind, KindForms] = {
    "continuous": KindForms(
        "a number that is finite in float32: `7`, `+7`, `-1.5`, `.5`, `7e-3`; NaN is missing",
        _ALL_BUT_DATES,
        "float32",
        "a finite float32 number",
    ),
    "integer": KindForms(
        "a whole number of 64 bits, signed or unsigned, exactly: `7`, `+7`, `8.0`, `7e0`; "
        "NaN is missing",
        _ALL_BUT_DATES,
        "int64",
        INTEGER,
    ),
    "boolean": KindForms(
        "true/false, t/f, yes/no, y/n, on/off, in any letter case; 1/0",
        _ALL_BUT_DATES,
        "int64, 1 or 0",
        BOOLEAN,
    ),
    "hex": KindForms(
        "1 to 16 hexadecimal digits of either case, without sign and prefix",
        ("text", "numbers"),
        "int64",
        HEX,
    ),
    "string": KindForms(
        "any text",
        ("text", "numbers", "booleans", "dates"),
        "text; whole numbers as their digits, booleans as true and false, dates as ISO 8601",
        STRING,
    ),
    "integer_list": KindForms("integers between separators", ("lists",), "list of int64", ""),
    "hex_list": KindForms("hex between separators", ("lists",), "list of int64", ""),
    "string_list": KindForms("text between separators", ("lists",), "list of text", ""),
    "flag": KindForms("as boolean; missing is 0", _ALL_BUT_DATES, "see `multi_hot`", "flag 0 or 1"),
    "label": KindForms(
        "0 or 1, true or false in any letter case; with `label.at_least` any number; with "
        "`label.click` any word; never missing",
        _ALL_BUT_DATES,
        "int8, 0 or 1",
        "label 0 or 1",
    ),
    "time": KindForms(
        "any ISO 8601 date or time; epoch seconds, and by their size milliseconds (from 1e11), "
        "microseconds (1e14), nanoseconds (1e17); with a `format` text of that form; never missing",
        ("text", "numbers", "dates"),
        "float64, seconds",
        "a number or an ISO 8601 time",
    ),
}


def advice(family: str | None, is_list: bool) -> str:
    """What would take a column that its kind cannot take."""
    if is_list:
        return f"kinds that take lists: {', '.join(ELEMENT_KINDS)}"
    takers = [kind for kind in FORMS if family in FORMS[kind].families and kind in _OF_FEATURES]
    if takers:
        return f"kinds that take it: {', '.join(takers)}"
    return "write it as text, numbers, booleans, dates or lists of them"


_OF_FEATURES = ("continuous", "integer", "boolean", "hex", "string", "time")
