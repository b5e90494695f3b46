"""The tensors of a few rows given as mappings, read value by value.

An Arrow table of one row takes longer to build and to read than the rest of its request. So values
in common formats are read as they are, with the result that `plumbline.columns.wire.to_tensors` has
for a table of them; that function defines what values mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.kinds import ELEMENT_KINDS, FeatureKind
from plumbline.columns.list_bytes import pack
from plumbline.columns.value_rules import text_values
from plumbline.columns.value_rules.rules import ValueRules
from plumbline.columns.value_rules.text_values import REFUSED
from plumbline.columns.values import NULL_INT64, Lists, Text, offsets_of
from plumbline.columns.wire import CONTINUOUS, Tensors, WireColumns

FEW_ROWS = 16

_MOST = 2**63 - 1
_MOST_EXACT = 2**53
"""Beyond it float64 has not every integer."""


class _UncommonError(Exception):
    """A value that is not in a common format."""


def tensors_of_few(
    rows: Sequence[Mapping[str, Any]], columns: WireColumns, rules: ValueRules
) -> Tensors | None:
    """The tensors of the rows; None if one lacks a column or has a value in no common format."""
    tensors: Tensors = {}
    try:
        for tensor, (names, dtype) in columns.tensors.items():
            read = [
                _column([row[name] for row in rows], columns.kind(tensor, name), rules)
                for name in names
            ]
            tensors[tensor] = _transposed(read, len(rows), dtype)
    except (_UncommonError, KeyError, UnicodeEncodeError):
        return None
    if CONTINUOUS in tensors and np.isinf(tensors[CONTINUOUS]).any():
        return None
    return tensors


def _transposed(columns: list[Any], rows: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    values = np.empty((rows, len(columns)), dtype)
    with np.errstate(over="ignore"):  # a number that is infinite in float32 is looked for later
        for row, of_row in enumerate(zip(*columns, strict=True)):
            values[row] = of_row
    return values


def _column(values: list[Any], kind: FeatureKind, rules: ValueRules) -> Any:
    if kind in ELEMENT_KINDS:
        return _packed(values, kind, rules)
    return _READERS[_type_of(values), kind](values, rules) if kind != "time" else _uncommon()


def _type_of(values: list[Any]) -> type | None:
    """The type that all values have, with float for a mix of integers and floats; None for none."""
    types = {type(value) for value in values} - {type(None)}
    if types <= {int, float} and float in types:
        return float
    if len(types) > 1:
        _uncommon()
    return next(iter(types), None)


def _packed(values: list[Any], kind: FeatureKind, rules: ValueRules) -> NDArray[np.object_]:
    if any(type(value) is not list for value in values if value is not None):
        _uncommon()
    elements = [element for value in values if value is not None for element in value]
    offsets = offsets_of(np.array([len(value or ()) for value in values], np.int64))
    element = ELEMENT_KINDS[kind]
    read = _READERS[_type_of(elements), element](elements, rules)
    if element == "string":
        return pack(Lists(Text.from_objects(read), offsets))
    return pack(Lists(np.array(read, np.int64), offsets))


def _uncommon(*_: Any) -> Any:
    raise _UncommonError


def _nothing(values: list[Any], rules: ValueRules) -> list[int]:
    return [NULL_INT64] * len(values)


def _reals(values: list[Any], rules: ValueRules) -> list[float]:
    if any(type(value) is int and abs(value) > _MOST_EXACT for value in values):
        _uncommon()
    read = [np.nan if value is None else float(value) for value in values]
    missing = rules.missing_numbers
    return [np.nan if value in missing else value for value in read] if missing else read


def _whole(missing_of: Callable[[ValueRules], tuple[int, ...]]) -> Any:
    def read(values: list[Any], rules: ValueRules) -> list[int]:
        missing = missing_of(rules)
        if any(value is not None and abs(value) > _MOST for value in values):
            _uncommon()
        return [NULL_INT64 if value is None or value in missing else value for value in values]

    return read


def _bits(values: list[Any], rules: ValueRules) -> list[int]:
    read: list[int] = _whole(_missing_integers)(values, rules)
    return read if set(read) <= {0, 1, NULL_INT64} else _uncommon()


def _truths(values: list[Any], rules: ValueRules) -> list[int]:
    return [NULL_INT64 if value is None else int(value) for value in values]


def _texts(values: list[Any], rules: ValueRules) -> list[bytes]:
    read = [None if value is None else text_values.text(value, rules) for value in values]
    return [(value or "").encode() for value in read]


def _no_texts(values: list[Any], rules: ValueRules) -> list[bytes]:
    return [b""] * len(values)


def _meanings(meaning: Any, missing: Any) -> Any:
    def read(values: list[Any], rules: ValueRules) -> list[Any]:
        found = [None if value is None else meaning(value, rules) for value in values]
        if REFUSED in found or any("\ud800" <= c <= "\udfff" for v in values for c in v or ""):
            _uncommon()
        return [missing if value is None else value for value in found]

    return read


def _whole_texts(values: list[Any], rules: ValueRules) -> list[int]:
    read: list[int] = _meanings(text_values.whole, NULL_INT64)(values, rules)
    return read if all(code >= 0 or code == NULL_INT64 for code in read) else _uncommon()


def _missing_integers(rules: ValueRules) -> tuple[int, ...]:
    return rules.missing_integers


def _missing_hexadecimals(rules: ValueRules) -> tuple[int, ...]:
    return rules.missing_hexadecimals


class _Readers(dict[tuple[type | None, str], Callable[[list[Any], ValueRules], list[Any]]]):
    """Type and kind to the reader of a column's values."""

    def __missing__(self, key: tuple[type | None, str]) -> Any:
        return _uncommon


_READERS = _Readers(
    {
        (None, "continuous"): _reals,
        (int, "continuous"): _reals,
        (float, "continuous"): _reals,
        (str, "continuous"): _meanings(text_values.real, np.nan),
        (None, "integer"): _nothing,
        (int, "integer"): _whole(_missing_integers),
        (str, "integer"): _whole_texts,
        (None, "hex"): _nothing,
        (int, "hex"): _whole(_missing_hexadecimals),
        (str, "hex"): _meanings(text_values.hexadecimal, NULL_INT64),
        (None, "boolean"): _nothing,
        (int, "boolean"): _bits,
        (bool, "boolean"): _truths,
        (str, "boolean"): _meanings(text_values.boolean, NULL_INT64),
        (None, "string"): _no_texts,
        (str, "string"): _texts,
    }
)
