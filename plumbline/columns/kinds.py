"""Column kinds, and the one declaration of a table's columns: an ordered name to kind mapping."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, get_args

FeatureKind = Literal[
    "continuous", "integer", "boolean", "hex", "string", "integer_list", "hex_list", "string_list"
]
Kind = Literal[FeatureKind, "label", "time", "key", "unused", "flag"]
ElementKind = Literal["integer", "hex", "string"]

FEATURE_KINDS: tuple[str, ...] = get_args(FeatureKind)

READ_KINDS: tuple[str, ...] = (*FEATURE_KINDS, "flag")
"""Kinds of the columns that the features are made of."""

ELEMENT_KINDS: Mapping[str, ElementKind] = {
    "integer_list": "integer",
    "hex_list": "hex",
    "string_list": "string",
}
"""List kinds to the kind of their elements."""

CLICK = "click"
"""Name of the label, 0 or 1, in every table after the ingest."""

_RANGE = re.compile(r"^(?P<stem>.*?)(?P<first>\d+)\.\.(?P<again>.*?)(?P<last>\d+)$")


def expand_ranges(columns: Mapping[str, Kind]) -> dict[str, Kind]:
    """Spell out `C1..C26: hex` as one entry a column, in order.

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
    """Raises ValueError for what no file and no library can have as a name."""
    if not name:
        raise ValueError("column '': wanted a name, got nothing")
    if not set(name).isdisjoint("\0\x1f") or not _is_unicode(name):
        raise ValueError(f"column {name!r}: a name is text, without NUL and unit separators")


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # half of a pair of surrogates
        return False
    return True


def expand_range(name: str) -> list[str]:
    """The names that `C1..C26` stands for; any other name stands for itself.

    >>> expand_range("C9..C11")
    ['C9', 'C10', 'C11']
    """
    match = _RANGE.match(name)
    if match is None:
        return [name]
    stem, first, again, last = match.group("stem", "first", "again", "last")
    if stem != again or int(first) > int(last):
        raise ValueError(f"range {name!r}: wanted the form C1..C26")
    return [f"{stem}{number}" for number in range(int(first), int(last) + 1)]
