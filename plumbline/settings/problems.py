"""Messages for pydantic's errors: the key, what was wanted, what was got, and the line."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from plumbline.base.errors import nearest
from plumbline.base.printable import one_line
from plumbline.settings.yaml_file import KeyPath, Location, read_as

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
    errors: Sequence[Mapping[str, Any]], locations: Mapping[KeyPath, Location], file: Path
) -> list[str]:
    """Pydantic's errors as `key: wanted …, got … (line N)`.

    For a key that accepts a number or a word, the number's error is reported with the word.
    """
    words = {
        error["loc"][:-1]: str(error["ctx"]["expected"]).replace("'", "")
        for error in errors
        if str(error["loc"][-1:]).startswith("('literal[")
    }
    lines: dict[KeyPath, str] = {}
    for error in errors:
        location = error["loc"][:-1]
        if location in words and str(error["loc"][-1]).startswith("literal["):
            continue
        line = _line(error, locations, file, words.get(location))
        lines.setdefault(location if location in words else tuple(error["loc"]), line)
    return list(lines.values())


def _line(
    error: Mapping[str, Any], locations: Mapping[KeyPath, Location], file: Path, word: str | None
) -> str:
    path, location = _found(error, locations)
    where = ".".join(one_line(str(part), _SHOWN) for part in path)
    line = problem(error, location)
    if word is not None:
        line = f"{line} ({word} is allowed too)"
    line = f"{where}: {line}" if where else line
    if location is None:
        return line
    beside = "" if location.file == file else f"{location.file.name}, "
    return f"{line} ({beside}line {location.line})"


def problem(error: Mapping[str, Any], location: Location | None = None) -> str:
    """The message for one error, without key and line."""
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
    return f"wanted {wanted}, got {_shown(value)}{_hint(kind, value, location)}"


def _hint(kind: str, value: object, location: Location | None) -> str:
    """What to write instead, if that is clear."""
    if kind == "string_type" and location is not None and location.text is not None:
        written, type_ = one_line(location.text, _SHOWN), read_as(value)
        if isinstance(value, datetime.date):
            type_ = "a date"
        if type_ is not None and not written:
            return ": the value is empty"
        if type_ is not None:
            return f": YAML reads {written} as {type_}; put it in quotes, '{written}'"
    if kind in ("tuple_type", "list_type") and isinstance(value, str | int | float):
        return f": write [{one_line(str(value), _SHOWN)}]"
    return ""


def _key(context: Mapping[str, Any]) -> str:
    """The key that distinguishes the members of a union."""
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
    error: Mapping[str, Any], locations: Mapping[KeyPath, Location]
) -> tuple[KeyPath, Location | None]:
    """The path and location of an error in the file.

    Pydantic's path also names members of unions, which are not keys. For a missing key, the
    location is that of its mapping.
    """
    path: KeyPath = ()
    reported: KeyPath = tuple(error["loc"])
    missing = len(reported) - 1 if error["type"] == "missing" else None
    for depth, part in enumerate(reported):
        if (*path, part) in locations or depth == missing:
            path = (*path, part)
    return path, locations.get(path) or locations.get(path[:-1])
