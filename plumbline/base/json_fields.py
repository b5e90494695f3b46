"""A dataclass from JSON that anybody may have written, checked by the types of its fields.

Needs no package, so it also runs in the server's image. A field is an int, a float, a text, None,
a `Literal`, a union, a tuple or mapping of these, or `Annotated` with `Between`. An int is of 64
bits, a text has a form in UTF-8, and a bool is neither an int nor a float.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import MISSING, dataclass, fields
from functools import cache
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeAlias,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

T = TypeVar("T")

_INT64 = range(-(2**63), 2**63)
_WORDS = {int: "an integer", float: "a number", str: "text", NoneType: "null"}
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Between:
    """Bounds of a number, both included."""

    low: float
    high: float


Count: TypeAlias = Annotated[int, Between(0, 2**63 - 1)]
Positive: TypeAlias = Annotated[int, Between(1, 2**63 - 1)]


def from_json(kind: type[T], content: Any) -> T:
    """The dataclass `kind` whose fields are the keys of a JSON object.

    Raises
    ------
    ValueError
        A key is missing or unknown, a value is of another type or out of bounds, or `kind` itself
        refuses the values.
    """
    if not isinstance(content, dict):
        raise ValueError(f"wanted an object, got {shown(content)}")
    declared = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    needed = {
        name
        for name, field in declared.items()
        if field.default is MISSING and field.default_factory is MISSING
    }
    if not needed <= content.keys() <= declared.keys():
        raise ValueError(f"wanted {sorted(declared)}, got {shown(sorted(content))}")
    hints = _hints(cast(Hashable, kind))
    return kind(**{name: _value(hints[name], value, name) for name, value in content.items()})


def shown(value: object) -> str:
    """A value as an error shows it: its beginning, if it is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _value(kind: Any, value: Any, where: str) -> Any:
    """The value as a field of this type; `where` is the path of its key."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _bounded(_value(arguments[0], value, where), arguments[1], where)
    if origin in (Union, UnionType):
        return _one_of(arguments, value, where)
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_value(arguments[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is not None and origin is not Literal and isinstance(value, dict):
        return {
            _value(arguments[0], key, where): _value(arguments[1], one, f"{where}.{shown(key)}")
            for key, one in value.items()
        }
    if origin is Literal and isinstance(value, str) and value in arguments:
        return value
    if kind is Any or (origin is None and _is_a(kind, value)):
        return float(value) if kind is float else value
    raise ValueError(f"{where}: wanted {_wanted(kind)}, got {shown(value)}")


def _one_of(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    # Every integer is a number too, so numbers come last.
    for kind in sorted(kinds, key=lambda kind: kind is float):
        try:
            return _value(kind, value, where)
        except ValueError:
            continue
    wanted = " or ".join(_wanted(kind) for kind in kinds)
    raise ValueError(f"{where}: wanted {wanted}, got {shown(value)}")


def _is_a(kind: Any, value: Any) -> bool:
    if kind is float:
        return isinstance(value, float) or (type(value) is int and value in _INT64)
    if kind is int:
        return type(value) is int and value in _INT64
    return isinstance(value, kind) and (kind is not str or _is_utf8(value))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _bounded(value: Any, bounds: Between, where: str) -> Any:
    if not bounds.low <= value <= bounds.high:
        raise ValueError(f"{where}: wanted {bounds.low} to {bounds.high}, got {shown(value)}")
    return value


def _wanted(kind: Any) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return "one of " + ", ".join(arguments)
    if origin is Annotated:
        return f"{_wanted(arguments[0])} from {arguments[1].low} to {arguments[1].high}"
    if origin is tuple:
        return "a list"
    return "an object" if origin is not None else _WORDS[kind]
