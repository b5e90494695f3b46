"""Frames of pandas, Polars and Arrow: their columns and rows, and results of their type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from plumbline.base.errors import PlanError
from plumbline.columns.from_arrow import frame_from_arrow
from plumbline.columns.kinds import FeatureKind
from plumbline.serving.client.tables import to_table

CHUNK_ROWS = 65_536

_LISTS: Mapping[FeatureKind, FeatureKind] = {"integer": "integer_list", "string": "string_list"}


def column_names(frame: Any) -> tuple[str, ...]:
    """The names of a frame's columns.

    Raises
    ------
    PlanError
        It is not a frame: `plumbline.serving.client.tables.to_table` says what is one.
    """
    if isinstance(frame, pa.Table | pa.RecordBatch):
        return tuple(frame.schema.names)
    if isinstance(frame, Mapping):
        return tuple(frame)
    if hasattr(frame, "columns"):
        return tuple(frame.columns)
    if isinstance(frame, Sequence) and frame and isinstance(frame[0], Mapping):
        return tuple(frame[0])
    return tuple(to_table(frame, ()).column_names)  # which says what was wanted


def kinds_of(frame: Any, names: Iterable[str]) -> dict[str, FeatureKind]:
    """The kinds of a frame's columns, by their types.

    Integers are of kind integer, fractions of kind continuous, dates of kind time, text of kind
    string; lists of integers and of text have kinds of their own. A float column of pandas is
    continuous, also if its numbers are whole.

    Raises
    ------
    PlanError
        A column has a type that no kind takes.
    """
    table = to_table(frame, names)
    return {
        name: "continuous" if _is_float_of_pandas(frame, name) else _kind(name, table[name].type)
        for name in table.column_names
    }


def chunks(table: pa.Table) -> Iterator[pa.Table]:
    """The rows in order, in tables of at most `CHUNK_ROWS` rows."""
    for start in range(0, len(table), CHUNK_ROWS):
        yield table.slice(start, CHUNK_ROWS)


def like(frame: Any, table: pa.Table) -> Any:
    """A table in the type of `frame`: pandas', with its index, or Polars'; otherwise Arrow's."""
    if hasattr(frame, "iloc") and hasattr(frame, "columns"):
        return table.to_pandas().set_index(frame.index)
    if hasattr(frame, "get_columns"):
        return frame_from_arrow(table)
    return table


def _is_float_of_pandas(frame: Any, name: str) -> bool:
    return hasattr(frame, "iloc") and getattr(frame[name].dtype, "kind", "") == "f"


def _kind(name: str, type_: pa.DataType) -> FeatureKind:
    if pa.types.is_boolean(type_):
        return "boolean"
    if pa.types.is_integer(type_):
        return "integer"
    if pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return "continuous"
    if pa.types.is_timestamp(type_) or pa.types.is_date(type_):
        return "time"
    if pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_null(type_):
        return "string"
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        kind = _LISTS.get(_kind(name, type_.value_type))
        if kind is not None:
            return kind
    raise PlanError(
        f"Column {name!r}: wanted integers, numbers, text, booleans, dates, or lists of integers "
        f"or text, got {type_}. Convert it, or leave it out of the workflow."
    )
