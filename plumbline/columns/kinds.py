"""Column kinds and names; a table's columns are declared as an ordered mapping of name to kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, get_args

ValueKind = Literal[
    "continuous", "integer", "boolean", "hex", "string", "integer_list", "hex_list", "string_list"
]
FeatureKind = Literal[ValueKind, "time"]
Kind = Literal[FeatureKind, "label", "key", "unused", "flag"]
ElementKind = Literal["integer", "hex", "string"]

FEATURE_KINDS: tuple[str, ...] = get_args(ValueKind)
"""The kinds whose columns are always features; a time is one if `time_features` names it."""

PLAN_KINDS: tuple[str, ...] = get_args(FeatureKind)
"""The kinds of the raw columns that a plan may read."""

READ_KINDS: tuple[str, ...] = (*FEATURE_KINDS, "flag")
"""Kinds of the columns that features are read from."""

ELEMENT_KINDS: Mapping[str, ElementKind] = {
    "integer_list": "integer",
    "hex_list": "hex",
    "string_list": "string",
}
"""List kind to the kind of its elements."""

CLICK = "click"
"""Name of the label, 0 or 1, in every table after the ingest."""

_RANGE = re.compile(r"^(?P<stem>.*?)(?P<first>\d+)\.\.(?P<last_stem>.*?)(?P<last>\d+)$")


def expand_ranges(columns: Mapping[str, Kind]) -> dict[str, Kind]:
    """Expand `C1..C26: hex` into one entry per column, in order.

    >>> expand_ranges({"label": "label", "I1..I3": "continuous"})
    {'label': 'label', 'I1': 'continuous', 'I2': 'continuous', 'I3': 'continuous'}
    """
    expanded: dict[str, Kind] = {}
    for name, kind in columns.items():
        for single in expand_range(name):
            check_name(single)
            if single in expanded:
                raise ValueError(f"column {single!r} is declared twice")
            expanded[single] = kind
    return expanded


def check_name(name: str) -> None:
    """Raise ValueError for a name that files or libraries cannot store."""
    if not name:
        raise ValueError("column '': wanted a name, got nothing")
    if not set(name).isdisjoint("\0\x1f") or not _is_unicode(name):
        raise ValueError(f"column {name!r}: a name is text, without NUL and unit separators")


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


def expand_range(name: str) -> list[str]:
    """The names that `C1..C26` stands for; any other name is returned as it is.

    >>> expand_range("C9..C11")
    ['C9', 'C10', 'C11']
    """
    match = _RANGE.match(name)
    if match is None:
        return [name]
    stem, first, last_stem, last = match.group("stem", "first", "last_stem", "last")
    if stem != last_stem or int(first) > int(last):
        raise ValueError(f"range {name!r}: wanted the form C1..C26")
    return [f"{stem}{number}" for number in range(int(first), int(last) + 1)]
