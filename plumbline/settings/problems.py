"""What is wrong with a value of a configuration: where, what is wanted and what came."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from plumbline.base.errors import nearest
from plumbline.base.plain_text import one_line
from plumbline.settings.yaml_file import KeyPath, Place, read_as

_SHOWN = 60

_WANTED = {
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
}
_BOUNDS = {
    "greater_than": ("gt", "a number above {}"),
    "greater_than_equal": ("ge", "a number of at least {}"),
    "less_than": ("lt", "a number below {}"),
    "less_than_equal": ("le", "a number of at most {}"),
    "string_too_short": ("min_length", "text of at least {} characters"),
    "string_too_long": ("max_length", "text of at most {} characters"),
    "too_short": ("min_length", "a list of at least {}"),
    "too_long": ("max_length", "a list of at most {}"),
}


def problems(
    errors: Sequence[Mapping[str, Any]], places: Mapping[KeyPath, Place], file: Path
) -> list[str]:
    """Pydantic's errors as `key: wanted …, got … (line N)`.

    Of a key that takes a number or a word it is the number's that is told, and the word with it.
    """
    words = {
        error["loc"][:-1]: str(error["ctx"]["expected"]).replace("'", "")
        for error in errors
        if str(error["loc"][-1:]).startswith("('literal[")
    }
    lines: dict[KeyPath, str] = {}
    for error in errors:
        place = error["loc"][:-1]
        if place in words and str(error["loc"][-1]).startswith("literal["):
            continue
        told = _line(error, places, file, words.get(place))
        lines.setdefault(place if place in words else tuple(error["loc"]), told)
    return list(lines.values())


def _line(
    error: Mapping[str, Any], places: Mapping[KeyPath, Place], file: Path, word: str | None
) -> str:
    path, place = _found(error, places)
    where = ".".join(one_line(str(part), _SHOWN) for part in path)
    told = problem(error, place)
    if word is not None:
        told = f"{told} ({word} is allowed too)"
    told = f"{where}: {told}" if where else told
    if place is None:
        return told
    beside = "" if place.file == file else f"{place.file.name}, "
    return f"{told} ({beside}line {place.line})"


def problem(error: Mapping[str, Any], place: Place | None = None) -> str:
    """What is wrong with one value, without where it stands."""
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    if kind == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    if kind == "missing":
        return "wanted, but it is missing"
    if kind == "union_tag_not_found":
        return f"wanted the key {_key(context)!r}"
    if kind == "union_tag_invalid":
        wanted = str(context["expected_tags"]).replace("'", "")
        tag = str(context["tag"])
        hint = _near(tag, wanted.split(", "))
        return f"{_key(context)}: wanted one of {wanted}, got {tag!r}{hint}"
    if kind == "literal_error":
        wanted = str(context["expected"]).replace("'", "").replace(" or ", ", ")
        return f"wanted one of {wanted}, got {_shown(value)}{_near(value, wanted.split(', '))}"
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"wanted {words.format(context[key])}, got {_shown(value)}"
    if kind not in _WANTED:
        return f"{error['msg']}, got {_shown(value)}"
    wanted = _WANTED[kind]
    return f"wanted {wanted}, got {_shown(value)}{_hint(kind, value, place)}"


def _hint(kind: str, value: object, place: Place | None) -> str:
    """What to write instead, where that is plain."""
    if kind == "string_type" and place is not None and place.text is not None:
        written, taken = one_line(place.text, _SHOWN), read_as(value)
        if isinstance(value, datetime.date):
            taken = "a date"
        if taken is not None and not written:
            return ": nothing stands there"
        if taken is not None:
            return f": YAML reads {written} as {taken}; put it in quotes, '{written}'"
    if kind in ("tuple_type", "list_type") and isinstance(value, str | int | float):
        return f": write [{one_line(str(value), _SHOWN)}]"
    return ""


def _key(context: Mapping[str, Any]) -> str:
    """The key that tells the members of a union apart."""
    return str(context["discriminator"]).strip("'")


def _near(value: object, known: list[str]) -> str:
    hint = nearest(str(value), known)
    return f"; {hint}" if hint.startswith("did you mean") else ""


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, datetime.date):
        return f"the date {value}"
    return one_line(repr(value), _SHOWN)


def _found(
    error: Mapping[str, Any], places: Mapping[KeyPath, Place]
) -> tuple[KeyPath, Place | None]:
    """The path in the file: pydantic names the member of a union, too, which is no key there.

    Of a key that is missing it is the mapping's place that is told.
    """
    path: KeyPath = ()
    location: KeyPath = tuple(error["loc"])
    missing = len(location) - 1 if error["type"] == "missing" else None
    for depth, part in enumerate(location):
        if (*path, part) in places or depth == missing:
            path = (*path, part)
    place = places.get(path) or places.get(path[:-1])
    return path, place
