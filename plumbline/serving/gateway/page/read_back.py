"""Values of raw columns in JSON, in a form that the model reads back as the same value.

What a text or a number means depends on the rules of the log (`plumbline.columns.value_rules`). So
a form is tried before it is offered, and left out if it means another value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from plumbline.base.errors import PlanError
from plumbline.columns.kinds import ELEMENT_KINDS, FeatureKind
from plumbline.columns.unsigned import unsigned_number
from plumbline.columns.values import Lists, Text, Values
from plumbline.columns.wire import from_tensors
from plumbline.serving.client.core import ServedModel

MOST_EXACT = 2**53
"""Beyond it a browser has not every integer: these are sent as text."""

_EPOCH = datetime(1970, 1, 1)


def element_kind(kind: FeatureKind) -> FeatureKind:
    """The kind of one value: of a list's elements, or of the column itself."""
    return ELEMENT_KINDS.get(kind, kind)


def forms(kind: FeatureKind, values: Sequence[Any]) -> list[Any]:
    """JSON's form of each value.

    `values` are text, float32 numbers, or the int64 codes that plan and wire have for kind `kind`.

    >>> forms("hex", [26, -1]), forms("integer", [7, 2**60]), forms("boolean", [1])
    (['1a', 'ffffffffffffffff'], [7, '1152921504606846976'], [True])
    """
    one = element_kind(kind)
    return [_form(one, value) for value in values]


def read_back(
    served: ServedModel, wanted: Mapping[str, Sequence[Any]]
) -> dict[str, list[tuple[Any, Any]]]:
    """Column to its values and their forms, in order, without those that mean another value."""
    pairs = {
        name: list(zip(values, forms(served.kinds[name], values), strict=True))
        for name, values in wanted.items()
    }
    return _kept(served, pairs)


def _kept(
    served: ServedModel, pairs: Mapping[str, list[tuple[Any, Any]]]
) -> dict[str, list[tuple[Any, Any]]]:
    """If a form is refused, halves are tried: columns first, then the values of one column."""
    longest = max(map(len, pairs.values()), default=0)
    if not longest:
        return {name: [] for name in pairs}
    try:
        read = _read(served, pairs, longest)
    except PlanError:
        if len(pairs) > 1:
            return {n: _kept(served, {n: found})[n] for n, found in pairs.items()}
        ((name, found),) = pairs.items()
        if longest == 1:
            return {name: []}
        halves = (found[: longest // 2], found[longest // 2 :])
        return {name: [one for half in halves for one in _kept(served, {name: half})[name]]}
    return {
        name: [pair for pair, got in zip(found, read[name], strict=False) if pair[0] == got]
        for name, found in pairs.items()
    }


def _read(
    served: ServedModel, pairs: Mapping[str, list[tuple[Any, Any]]], rows: int
) -> dict[str, list[Any]]:
    """What the model reads for the forms: rows in which all else is missing."""
    missing: dict[str, Any] = dict.fromkeys(served.kinds)
    given = [dict(missing) for _ in range(rows)]
    for name, found in pairs.items():
        is_list = served.kinds[name] in ELEMENT_KINDS
        for row, (_, form) in zip(given, found, strict=False):
            row[name] = [form] if is_list else form
    read = from_tensors(served.tensors(given), served.columns, pairs)
    return {name: _elements(values) for name, values in read.items()}


def _elements(values: Values) -> list[Any]:
    if isinstance(values, Lists):  # of one element each
        return _elements(values.values)
    if isinstance(values, Text):
        return [text.decode() for text in values.to_objects()]
    return list(values.tolist())


def _form(kind: FeatureKind, value: Any) -> Any:
    if kind == "continuous":
        return float(str(np.float32(value)))
    if kind == "boolean":
        return bool(value)
    if kind == "hex":
        return f"{unsigned_number(value):x}"
    if kind == "time":
        try:
            return (_EPOCH + timedelta(microseconds=value)).isoformat(" ")
        except OverflowError:  # after the year 9999
            return None
    if kind == "integer" and abs(value) > MOST_EXACT:
        return str(value)
    return value
