"""The raw columns as the tensors of a request to the server.

docs/serving.md has the table of tensors, their types and null marks. A tensor is (B, columns), in
plan order; a tensor without columns is left out. Unsigned 64-bit numbers are int64 codes (see
`plumbline.columns.unsigned`); a boolean is 1 or 0, and a time is microseconds since 1970 in UTC.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.base.errors import PlanError
from plumbline.columns.kinds import FeatureKind
from plumbline.columns.list_bytes import pack, unpack_integers, unpack_texts
from plumbline.columns.values import NULL_INT64 as NULL_INT64
from plumbline.columns.values import Lists, Text, Values

if TYPE_CHECKING:
    from plumbline.columns.value_rules.rules import ValueRules

CONTINUOUS = "continuous"
CATEGORICAL_INT64 = "categorical_int64"
CATEGORICAL_BYTES = "categorical_bytes"
LIST_INT64 = "list_int64"
LIST_BYTES = "list_bytes"

NULL_BYTES = b""

Tensors = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class WireColumns:
    """The raw columns of each tensor, in order.

    The columns of `hexadecimal` are also in `integer` or `integer_list`, those of `boolean` and
    `time` in `integer`.
    """

    continuous: tuple[str, ...]
    integer: tuple[str, ...]
    string: tuple[str, ...]
    hexadecimal: frozenset[str] = frozenset()
    integer_list: tuple[str, ...] = ()
    string_list: tuple[str, ...] = ()
    boolean: frozenset[str] = frozenset()
    time: frozenset[str] = frozenset()

    @classmethod
    def of(cls, kinds: Mapping[str, FeatureKind]) -> WireColumns:
        """From the raw columns' kinds, in plan order."""

        def of_kind(*wanted: FeatureKind) -> tuple[str, ...]:
            return tuple(name for name, kind in kinds.items() if kind in wanted)

        return cls(
            continuous=of_kind("continuous"),
            integer=of_kind("integer", "boolean", "hex", "time"),
            string=of_kind("string"),
            hexadecimal=frozenset(of_kind("hex", "hex_list")),
            integer_list=of_kind("integer_list", "hex_list"),
            string_list=of_kind("string_list"),
            boolean=frozenset(of_kind("boolean")),
            time=frozenset(of_kind("time")),
        )

    def kind(self, tensor: str, name: str) -> FeatureKind:
        """The kind of a column of a tensor."""
        if tensor == CONTINUOUS:
            return "continuous"
        if tensor == CATEGORICAL_INT64:
            if name in self.boolean:
                return "boolean"
            if name in self.time:
                return "time"
            return "hex" if name in self.hexadecimal else "integer"
        if tensor == CATEGORICAL_BYTES:
            return "string"
        if tensor == LIST_INT64:
            return "hex_list" if name in self.hexadecimal else "integer_list"
        return "string_list"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for names, _ in self.tensors.values() for name in names)

    @cached_property
    def tensors(self) -> dict[str, tuple[tuple[str, ...], np.dtype[Any]]]:
        """The tensors that have columns: name to columns and dtype."""
        tensors: dict[str, tuple[tuple[str, ...], np.dtype[Any]]] = {
            CONTINUOUS: (self.continuous, np.dtype(np.float32)),
            CATEGORICAL_INT64: (self.integer, np.dtype(np.int64)),
            CATEGORICAL_BYTES: (self.string, np.dtype(np.object_)),
            LIST_INT64: (self.integer_list, np.dtype(np.object_)),
            LIST_BYTES: (self.string_list, np.dtype(np.object_)),
        }
        return {name: tensor for name, tensor in tensors.items() if tensor[0]}


def to_tensors(table: pa.Table, columns: WireColumns, rules: ValueRules | None = None) -> Tensors:
    """Convert a table to the tensors of a request; columns are found by name, in any order.

    A column may have any type that its kind accepts (see `plumbline.columns.value_rules`), and is
    read by the rules of the log. Without `rules` the rows are typed rows of the ingest: a column of
    its kind's own type is used as it is, null marks included. Other columns of the table are
    ignored.

    Raises
    ------
    PlanError
        Columns are missing, or have a type or a value that does not fit; all problems are named.
    """
    # Imported here because the server does not need the rules.
    from plumbline.columns.value_rules.raw_columns import values_of_raw
    from plumbline.columns.value_rules.rules import ValueRules

    is_typed, rules = rules is None, rules or ValueRules()
    missing = set(columns.names) - set(table.column_names)
    problems = [str(PlanError.columns_differ(missing, ()))] if missing else []
    tensors: Tensors = {}
    with np.errstate(over="ignore"):  # a number that is infinite in float32 is refused
        for tensor, (names, _) in columns.tensors.items():
            packed = []
            for name in names:
                if name in missing:
                    continue
                try:
                    values = values_of_raw(
                        name, table[name], columns.kind(tensor, name), rules, is_typed
                    )
                except PlanError as error:
                    problems.append(str(error))
                else:
                    packed.append(_packed(values))
            if not problems:
                tensors[tensor] = np.column_stack(packed)
    if problems:
        raise PlanError(" ".join(problems))
    return tensors


def _packed(values: Values) -> NDArray[Any]:
    """The values as an array with one element per row."""
    if isinstance(values, Text):
        return values.to_objects()
    return pack(values) if isinstance(values, Lists) else values


def from_tensors(
    tensors: Tensors, columns: WireColumns, chosen: Collection[str] | None = None
) -> dict[str, Values]:
    """The raw columns of a request, or the `chosen` ones, by name.

    Null elements of lists keep their mark.

    Raises
    ------
    PlanError
        A tensor is missing, unexpected, or has the wrong width or dtype, or bytes are not a list.
    """
    check_tensors(tensors, columns)
    values: dict[str, Values] = {}
    for tensor, (names, dtype) in columns.tensors.items():
        for position, name in enumerate(names):
            if chosen is not None and name not in chosen:
                continue
            packed_B: NDArray[Any] = np.ascontiguousarray(tensors[tensor][:, position])
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
    """The number of rows of a request; raises PlanError if names, shapes or dtypes do not fit."""
    wanted = columns.tensors
    if tensors.keys() != wanted.keys():
        lacking, extra = wanted.keys() - tensors.keys(), tensors.keys() - wanted.keys()
        raise PlanError.columns_differ(lacking, extra)
    for name, (names, dtype) in wanted.items():
        tensor = tensors[name]
        if tensor.ndim != 2 or tensor.shape[1] != len(names):
            got = f"shape {tensor.shape}"
            raise PlanError.wrong_type(name, f"shape (rows, {len(names)})", got)
        if tensor.dtype != dtype:
            raise PlanError.wrong_type(name, dtype.name, str(tensor.dtype))
    rows = {len(tensor) for tensor in tensors.values()}
    if len(rows) != 1:
        raise PlanError(
            f"All tensors of a request need the same number of rows, got {sorted(rows)}."
        )
    return rows.pop()


def require_finite(tensors: Tensors, columns: WireColumns) -> None:
    """Raise PlanError with the column and row of the first infinite continuous value.

    NaN is accepted: it is the mark of a missing number. The tensors have passed `check_tensors`.
    """
    if not columns.continuous:
        return
    position = first_infinite(tensors[CONTINUOUS])
    if position is not None:
        row, column = position
        raise PlanError(
            f"Column {columns.continuous[column]!r}: wanted a finite float32 number, found "
            f"{tensors[CONTINUOUS][position]} in row {row}. A missing number is NaN."
        )


def first_infinite(numbers_BC: NDArray[Any]) -> tuple[int, int] | None:
    """The row and column of the first infinite number, or None.

    >>> first_infinite(np.array([[1.0, np.nan], [2.0, -np.inf]]))
    (1, 1)
    """
    is_infinite_BC = np.isinf(numbers_BC)
    if not is_infinite_BC.any():
        return None
    row, column = np.argwhere(is_infinite_BC)[0].tolist()
    return row, column


def _text(name: str, packed_B: NDArray[np.object_]) -> Text:
    try:
        return Text.from_objects(packed_B)
    except TypeError:
        got = next(type(v).__name__ for v in packed_B.tolist() if not isinstance(v, bytes))
        raise PlanError.wrong_type(name, "bytes", got) from None
