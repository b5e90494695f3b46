"""The types of column that each kind accepts; `docs/kinds.md` has the whole table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from plumbline.columns.kinds import ELEMENT_KINDS, Kind

Family = Literal["text", "numbers", "booleans", "dates", "lists"]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The families of types that a kind accepts, and its values in the words of a message."""

    families: tuple[Family, ...]
    wanted: str = ""


_ALL_BUT_DATES: tuple[Family, ...] = ("text", "numbers", "booleans")


ACCEPTED: Mapping[Kind, Accepted] = {
    "continuous": Accepted(_ALL_BUT_DATES, "a finite float32 number"),
    "integer": Accepted(_ALL_BUT_DATES, "a 64-bit integer"),
    "boolean": Accepted(_ALL_BUT_DATES, "a boolean: true or false, yes or no, on or off, 1 or 0"),
    "hex": Accepted(("text", "numbers"), "up to 16 hexadecimal digits"),
    "string": Accepted(("text", "numbers", "booleans", "dates"), "text or a whole number"),
    "integer_list": Accepted(("lists",)),
    "hex_list": Accepted(("lists",)),
    "string_list": Accepted(("lists",)),
    "flag": Accepted(_ALL_BUT_DATES, "flag 0 or 1"),
    "label": Accepted(_ALL_BUT_DATES, "label 0 or 1"),
    "time": Accepted(("text", "numbers", "dates"), "a number or an ISO 8601 time"),
}

_ADVISED: tuple[Kind, ...] = ("continuous", "integer", "boolean", "hex", "string", "time")


def advice(family: str | None, is_list: bool) -> str:
    """Which kinds accept a column that its own kind refuses."""
    if is_list:
        return f"kinds that take lists: {', '.join(ELEMENT_KINDS)}"
    others = [kind for kind in _ADVISED if family in ACCEPTED[kind].families]
    if others:
        return f"kinds that take it: {', '.join(others)}"
    return "write it as text, numbers, booleans, dates or lists of them"
