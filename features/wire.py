"""The raw columns as tensors, the form they have on the wire to the server.

| tensor | dtype | columns | missing |
|---|---|---|---|
| `continuous` | float32 (B, C) | continuous | NaN |
| `categorical_int64` | int64 (B, F₁) | integer and hex | -2⁶³ |
| `categorical_bytes` | bytes (B, F₂) | string, UTF-8 | empty |
| `list_int64` | bytes (B, F₃) | integer_list and hex_list, see `features.list_bytes` | empty |
| `list_bytes` | bytes (B, F₄) | string_list, see `features.list_bytes` | empty |

Each tensor holds its columns in plan order; one without columns is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.columns import FeatureKind
from features.errors import PlanError
from features.hexadecimal import parse_hexadecimal
from features.list_bytes import pack, unpack_integers, unpack_texts
from features.values import NULL_INT64 as NULL_INT64
from features.values import Lists, Text, Values, offsets_of

CONTINUOUS = "continuous"
CATEGORICAL_INT64 = "categorical_int64"
CATEGORICAL_BYTES = "categorical_bytes"
LIST_INT64 = "list_int64"
LIST_BYTES = "list_bytes"

NULL_BYTES = b""

Tensors = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class WireColumns:
    """Which raw columns travel in which tensor, in order.

    `hexadecimal` is part of the integers and of the lists of integers.
    """

    continuous: tuple[str, ...]
    integer: tuple[str, ...]
    string: tuple[str, ...]
    hexadecimal: frozenset[str] = frozenset()
    integer_list: tuple[str, ...] = ()
    string_list: tuple[str, ...] = ()

    @classmethod
    def of(cls, kinds: Mapping[str, FeatureKind]) -> WireColumns:
        """From the raw columns' kinds, in plan order."""

        def of_kind(*wanted: FeatureKind) -> tuple[str, ...]:
            return tuple(name for name, kind in kinds.items() if kind in wanted)

        return cls(
            continuous=of_kind("continuous"),
            integer=of_kind("integer", "hex"),
            string=of_kind("string"),
            hexadecimal=frozenset(of_kind("hex", "hex_list")),
            integer_list=of_kind("integer_list", "hex_list"),
            string_list=of_kind("string_list"),
        )

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for names, _ in self.wanted.values() for name in names)

    @cached_property
    def wanted(self) -> dict[str, tuple[tuple[str, ...], np.dtype[Any]]]:
        """The tensors that have columns: name to their columns and dtype."""
        forms: dict[str, tuple[tuple[str, ...], np.dtype[Any]]] = {
            CONTINUOUS: (self.continuous, np.dtype(np.float32)),
            CATEGORICAL_INT64: (self.integer, np.dtype(np.int64)),
            CATEGORICAL_BYTES: (self.string, np.dtype(np.object_)),
            LIST_INT64: (self.integer_list, np.dtype(np.object_)),
            LIST_BYTES: (self.string_list, np.dtype(np.object_)),
        }
        return {tensor: form for tensor, form in forms.items() if form[0]}


def to_tensors(table: pa.Table, columns: WireColumns) -> Tensors:
    """Turn a table into the wire's tensors; columns are taken by name, in any order.

    A hex column may come as integers or as hexadecimal text, a list column as any of Arrow's lists.
    Columns the plan does not know are passed over.

    Raises
    ------
    PlanError
        Missing columns, or ones whose type does not fit; all of them are named.
    """
    missing = set(columns.names) - set(table.column_names)
    problems = [str(PlanError.columns_differ(missing, ()))] if missing else []
    tensors: Tensors = {}
    for tensor, (names, _) in columns.wanted.items():
        found = []
        for name in names:
            if name in missing:
                continue
            try:
                found.append(_column(tensor, name, table[name], name in columns.hexadecimal))
            except PlanError as error:
                problems.append(str(error))
        if not problems:
            tensors[tensor] = np.column_stack(found)
    if problems:
        raise PlanError(" ".join(problems))
    return tensors


def from_tensors(
    tensors: Tensors, columns: WireColumns, chosen: Collection[str] | None = None
) -> dict[str, Values]:
    """The raw columns of a request, or the chosen ones, by name.

    A list column's null elements keep their mark.

    Raises
    ------
    PlanError
        A tensor is missing, unexpected, or has the wrong width or dtype; bytes that are no list.
    """
    check_tensors(tensors, columns)
    values: dict[str, Values] = {}
    for tensor, (names, dtype) in columns.wanted.items():
        for place, name in enumerate(names):
            if chosen is not None and name not in chosen:
                continue
            packed_B: NDArray[Any] = np.ascontiguousarray(tensors[tensor][:, place])
            if dtype != np.object_:
                values[name] = packed_B
            elif tensor == CATEGORICAL_BYTES:
                values[name] = _text(name, packed_B)
            elif tensor == LIST_INT64:
                values[name] = unpack_integers(name, packed_B)
            else:
                values[name] = unpack_texts(name, packed_B)
    return values


def check_tensors(tensors: Tensors, columns: WireColumns) -> int:
    """The number of rows of a request; raises PlanError where the tensors' forms do not fit."""
    wanted = columns.wanted
    if tensors.keys() != wanted.keys():
        lacking, extra = wanted.keys() - tensors.keys(), tensors.keys() - wanted.keys()
        raise PlanError.columns_differ(lacking, extra)
    for name, (names, dtype) in wanted.items():
        tensor = tensors[name]
        if tensor.ndim != 2 or tensor.shape[1] != len(names):
            came = f"shape {tensor.shape}"
            raise PlanError.wrong_type(name, f"shape (rows, {len(names)})", came)
        if tensor.dtype != dtype:
            raise PlanError.wrong_type(name, dtype.name, str(tensor.dtype))
    rows = {len(tensor) for tensor in tensors.values()}
    if len(rows) != 1:
        raise PlanError(f"All tensors of a request need one number of rows, got {sorted(rows)}.")
    return rows.pop()


def require_finite(tensors: Tensors, columns: WireColumns) -> None:
    """Raises PlanError where a continuous value is infinite, naming its column and row.

    NaN, the mark of a missing one, is fine. The tensors are of the form that `check_tensors` wants.
    """
    if not columns.continuous:
        return
    place = first_infinite(tensors[CONTINUOUS])
    if place is not None:
        row, column = place
        raise PlanError(
            f"Column {columns.continuous[column]!r}, row {row}: wanted a finite float32 number, "
            f"found {tensors[CONTINUOUS][place]}. A missing one is NaN."
        )


def first_infinite(numbers_BC: NDArray[Any]) -> tuple[int, int] | None:
    """Row and column of the first number that is infinite.

    >>> first_infinite(np.array([[1.0, np.nan], [2.0, -np.inf]]))
    (1, 1)
    """
    is_infinite_BC = np.isinf(numbers_BC)
    if not is_infinite_BC.any():
        return None
    row, column = np.argwhere(is_infinite_BC)[0].tolist()
    return row, column


def _column(tensor: str, name: str, column: pa.ChunkedArray, hexadecimal: bool) -> NDArray[Any]:
    if tensor == CONTINUOUS:
        return _floats(name, column)
    if tensor == CATEGORICAL_INT64:
        return _integers(name, column, hexadecimal)
    if tensor == CATEGORICAL_BYTES:
        return _bytes(name, column)
    offsets, elements = _taken_apart(name, column)
    if tensor == LIST_INT64:
        return pack(Lists(_integers(name, elements, hexadecimal), offsets))
    _require_text(name, elements)
    return pack(Lists(Text.from_arrow(elements), offsets))


def _taken_apart(name: str, column: pa.ChunkedArray) -> tuple[NDArray[np.int64], pa.ChunkedArray]:
    """Where each row's elements begin, (B+1,), and all of them; a null list has none."""
    if pa.types.is_null(column.type):
        return np.zeros(len(column) + 1, np.int64), pa.chunked_array([], pa.null())
    if not _is_list(column.type):
        raise PlanError.wrong_type(name, "lists", str(column.type))
    lengths = pc.fill_null(pc.list_value_length(column), 0)
    return offsets_of(np.asarray(lengths, np.int64)), pc.list_flatten(column)


def _floats(name: str, column: pa.ChunkedArray) -> NDArray[np.float32]:
    if not (_is_number(column.type) or pa.types.is_null(column.type)):
        raise PlanError.wrong_type(name, "numbers", str(column.type))
    filled = _filled(column.cast(pa.float64(), safe=False), float("nan"))
    with np.errstate(over="ignore"):  # beyond float32 is infinite, as everywhere in a plan
        return np.asarray(filled, dtype=np.float64).astype(np.float32)


def _integers(name: str, column: pa.ChunkedArray, hexadecimal: bool) -> NDArray[np.int64]:
    if hexadecimal and _is_text(column.type):
        return parse_hexadecimal(name, column)
    if not (pa.types.is_integer(column.type) or pa.types.is_null(column.type)):
        wanted = "integers or hexadecimal text" if hexadecimal else "integers"
        raise PlanError.wrong_type(name, wanted, str(column.type))
    try:
        return np.asarray(_filled(column.cast(pa.int64()), NULL_INT64), dtype=np.int64)
    except pa.ArrowInvalid:
        raise PlanError.wrong_type(name, "64-bit signed integers", str(column.type)) from None


def _filled(column: pa.ChunkedArray, value: float) -> pa.ChunkedArray:
    """To fill nothing costs as much as all else that a column of one row needs."""
    return pc.fill_null(column, value) if column.null_count else column


def _bytes(name: str, column: pa.ChunkedArray) -> NDArray[np.object_]:
    _require_text(name, column)
    values = np.empty(len(column), dtype=np.object_)
    values[:] = [value or NULL_BYTES for value in column.cast(pa.binary()).to_pylist()]
    return values


def _text(name: str, packed_B: NDArray[np.object_]) -> Text:
    try:
        return Text.from_objects(packed_B)
    except TypeError:
        came = next(type(v).__name__ for v in packed_B.tolist() if not isinstance(v, bytes))
        raise PlanError.wrong_type(name, "bytes", came) from None


def _require_text(name: str, column: pa.ChunkedArray) -> None:
    if not (_is_text(column.type) or pa.types.is_null(column.type)):
        raise PlanError.wrong_type(name, "strings", str(column.type))


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_))


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))


def _is_list(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(type_)
        or pa.types.is_large_list(type_)
        or pa.types.is_fixed_size_list(type_)
    )
