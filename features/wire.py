"""The raw columns as tensors, the form they have on the wire to the server.

| tensor | dtype | columns | missing |
|---|---|---|---|
| `continuous` | float32 (B, C) | continuous | NaN |
| `categorical_int64` | int64 (B, F₁) | integer and hex | -2⁶³ |
| `categorical_bytes` | bytes (B, F₂) | string, UTF-8 | empty |

Each tensor holds its columns in plan order; one without columns is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.columns import FeatureKind
from features.errors import PlanError

CONTINUOUS = "continuous"
CATEGORICAL_INT64 = "categorical_int64"
CATEGORICAL_BYTES = "categorical_bytes"

NULL_INT64 = -(2**63)
NULL_BYTES = b""

_HEX = re.compile("[0-9a-fA-F]{1,16}")

Tensors = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class WireColumns:
    """Which raw columns travel in which tensor, in order; `hexadecimal` is part of the integers."""

    continuous: tuple[str, ...]
    integer: tuple[str, ...]
    string: tuple[str, ...]
    hexadecimal: frozenset[str] = frozenset()

    @classmethod
    def of(cls, kinds: Mapping[str, FeatureKind]) -> WireColumns:
        """From the raw columns' kinds, in plan order."""
        return cls(
            tuple(name for name, kind in kinds.items() if kind == "continuous"),
            tuple(name for name, kind in kinds.items() if kind in ("integer", "hex")),
            tuple(name for name, kind in kinds.items() if kind == "string"),
            frozenset(name for name, kind in kinds.items() if kind == "hex"),
        )

    @property
    def names(self) -> tuple[str, ...]:
        return self.continuous + self.integer + self.string


def to_tensors(table: pa.Table, columns: WireColumns) -> Tensors:
    """Turn a table into the wire's tensors; columns are taken by name, in any order.

    A hex column may come as integers or as hexadecimal text. Columns the plan does not know are
    passed over.

    Raises
    ------
    PlanError
        A missing column, or one whose type does not fit.
    """
    missing = set(columns.names) - set(table.column_names)
    if missing:
        raise PlanError.columns_differ(missing, ())
    tensors: Tensors = {}
    if columns.continuous:
        tensors[CONTINUOUS] = np.column_stack(
            [_floats(name, table[name]) for name in columns.continuous]
        )
    if columns.integer:
        tensors[CATEGORICAL_INT64] = np.column_stack(
            [_integers(name, table[name], name in columns.hexadecimal) for name in columns.integer]
        )
    if columns.string:
        tensors[CATEGORICAL_BYTES] = np.column_stack(
            [_bytes(name, table[name]) for name in columns.string]
        )
    return tensors


def _floats(name: str, column: pa.ChunkedArray) -> NDArray[np.float32]:
    if not (_is_number(column.type) or pa.types.is_null(column.type)):
        raise PlanError.wrong_type(name, "numbers", str(column.type))
    filled = pc.fill_null(column.cast(pa.float64(), safe=False), float("nan"))
    with np.errstate(over="ignore"):  # beyond float32 is infinite, as everywhere in a plan
        return np.asarray(filled, dtype=np.float64).astype(np.float32)


def _integers(name: str, column: pa.ChunkedArray, hexadecimal: bool) -> NDArray[np.int64]:
    if hexadecimal and _is_text(column.type):
        values = [_from_hex(name, text) for text in column.to_pylist()]
        column = pa.chunked_array([pa.array(values, pa.int64())])
    if not (pa.types.is_integer(column.type) or pa.types.is_null(column.type)):
        wanted = "integers or hexadecimal text" if hexadecimal else "integers"
        raise PlanError.wrong_type(name, wanted, str(column.type))
    try:
        return np.asarray(pc.fill_null(column.cast(pa.int64()), NULL_INT64), dtype=np.int64)
    except pa.ArrowInvalid:
        raise PlanError.wrong_type(name, "64-bit signed integers", str(column.type)) from None


def _from_hex(name: str, text: str | None) -> int | None:
    if not text:
        return None
    if not _HEX.fullmatch(text) or int(text, 16) >= 2**63:
        raise PlanError.wrong_type(name, "up to 16 hexadecimal digits, 63 bits", repr(text))
    return int(text, 16)


def _bytes(name: str, column: pa.ChunkedArray) -> NDArray[np.object_]:
    if not (_is_text(column.type) or pa.types.is_null(column.type)):
        raise PlanError.wrong_type(name, "strings", str(column.type))
    values = np.empty(len(column), dtype=np.object_)
    values[:] = [value or NULL_BYTES for value in column.cast(pa.binary()).to_pylist()]
    return values


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_))


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))
