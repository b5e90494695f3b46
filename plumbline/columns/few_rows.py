"""The tensors of a few rows given as mappings, read value by value.

An Arrow table of one row takes longer to build and to read than the rest of its request. So values
in common formats are read as they are, with the result that `plumbline.columns.wire.to_tensors` has
for a table of them; that function defines what values mean.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from plumbline.columns.kinds import ELEMENT_KINDS, FeatureKind
from plumbline.columns.value_rules import text_values
from plumbline.columns.value_rules.rules import ValueRules
from plumbline.columns.value_rules.text_values import REFUSED
from plumbline.columns.values import NULL_INT64
from plumbline.columns.wire import CONTINUOUS, Tensors, WireColumns

FEW_ROWS = 16

_MOST = 2**63 - 1
_MOST_EXACT = 2**53
"""Beyond it float64 has not every integer."""
_MISSING = type(None)
_NUMBERS = {int, float}

Reader = Callable[[Any], Any]
"""Turns a value into what the wire has for it."""
Readers = Mapping[type, Reader]
"""The readers of a kind, by the type of a value; other types are not common."""


class _UncommonError(Exception):
    """A value that is not in a common format."""


class FewRows:
    """Reads rows for one set of columns, by the rules of one log."""

    def __init__(self, columns: WireColumns, rules: ValueRules) -> None:
        self._tensors = {
            tensor: (
                [(name, _readers(columns.kind(tensor, name), rules)) for name in names],
                dtype,
            )
            for tensor, (names, dtype) in columns.tensors.items()
        }

    def tensors(self, rows: Sequence[Mapping[str, Any]]) -> Tensors | None:
        """The tensors of the rows; None if a column is missing or a value in no common format."""
        try:
            with np.errstate(over="ignore"):  # a number that is infinite in float32 is looked for
                tensors = self._read(rows)
        except (_UncommonError, KeyError, UnicodeEncodeError):
            return None
        if CONTINUOUS in tensors and np.isinf(tensors[CONTINUOUS]).any():
            return None
        return tensors

    def _read(self, rows: Sequence[Mapping[str, Any]]) -> Tensors:
        tensors: Tensors = {}
        for tensor, (columns, dtype) in self._tensors.items():
            values = np.empty((len(rows), len(columns)), dtype)
            for number, row in enumerate(rows):
                values[number] = [readers[type(v := row[n])](v) for n, readers in columns]
            if len(rows) > 1:
                for name, _ in columns:
                    _require_one_type([row[name] for row in rows])
            tensors[tensor] = values
        return tensors


def _require_one_type(values: Sequence[Any]) -> None:
    """A column of an Arrow table has one type, also inside of lists; integers may be floats."""
    types = {type(value) for value in values} - {_MISSING}
    if list in types:
        types = {type(element) for value in values for element in value or ()} - {_MISSING}
    if len(types) > 1 and types != _NUMBERS:
        raise _UncommonError


def _readers(kind: FeatureKind, rules: ValueRules) -> Readers:
    if kind in ELEMENT_KINDS:
        element = ELEMENT_KINDS[kind]
        pack = _pack_texts if element == "string" else _pack_integers
        return {_MISSING: lambda _: b"", list: _lists(_readers(element, rules), pack)}
    if kind == "continuous":
        return _numbers(rules)
    if kind == "string":
        return {
            _MISSING: lambda _: b"",
            str: lambda value: (text_values.text(value, rules) or "").encode(),
        }
    if kind == "integer":
        readers = _integers(rules.missing_integers)
        return readers | {str: _positive(_texts(text_values.whole, rules, NULL_INT64))}
    if kind == "hex":
        readers = _integers(rules.missing_hexadecimals)
        return readers | {str: _texts(text_values.hexadecimal, rules, NULL_INT64)}
    if kind == "boolean":
        readers = _integers(rules.missing_integers)
        return {
            _MISSING: readers[_MISSING],
            int: _bit(readers[int]),
            bool: int,
            str: _texts(text_values.boolean, rules, NULL_INT64),
        }
    return {}  # what a time is depends on its whole column


def _numbers(rules: ValueRules) -> Readers:
    missing = frozenset(rules.missing_numbers)

    def real(value: float) -> float:
        return np.nan if value in missing else value

    def whole(value: int) -> float:
        if abs(value) > _MOST_EXACT:
            raise _UncommonError
        return real(float(value))

    return {
        _MISSING: lambda _: np.nan,
        float: real,
        int: whole,
        str: _texts(text_values.real, rules, np.nan),
    }


def _integers(missing: Sequence[int]) -> dict[type, Reader]:
    def whole(value: int) -> int:
        if abs(value) > _MOST:
            raise _UncommonError
        return NULL_INT64 if value in missing else value

    return {_MISSING: lambda _: NULL_INT64, int: whole}


def _texts(meaning: Callable[[str, ValueRules], Any], rules: ValueRules, missing: Any) -> Reader:
    def read(text: str) -> Any:
        text.encode()  # a lone surrogate is refused as in a table
        value = meaning(text, rules)
        if value is REFUSED:
            raise _UncommonError
        return missing if value is None else value

    return read


def _positive(read: Reader) -> Reader:
    """Text may not mix negative numbers with those from 2⁶³ on, whose codes are negative too."""

    def positive(value: Any) -> int:
        code: int = read(value)
        if code < 0 and code != NULL_INT64:
            raise _UncommonError
        return code

    return positive


def _bit(read: Reader) -> Reader:
    def bit(value: int) -> int:
        code: int = read(value)
        if code not in (0, 1, NULL_INT64):
            raise _UncommonError
        return code

    return bit


def _lists(readers: Readers, pack: Callable[[list[Any]], bytes]) -> Reader:
    def read(values: list[Any]) -> bytes:
        _require_one_type(values)
        return pack([readers[type(value)](value) for value in values])

    return read


def _pack_integers(codes: list[int]) -> bytes:
    return struct.pack(f"<{len(codes)}q", *codes)


def _pack_texts(texts: list[bytes]) -> bytes:
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)
