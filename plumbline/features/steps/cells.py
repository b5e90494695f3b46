"""What an accumulator has learned, as cells: whole numbers by key, which any system can merge.

A cell is a row of a table. Two cells are of one place if all their columns but `value` are equal;
they are merged by `operation`. The operations are of int64 and independent of order: a sum, the
least, the largest, and the bits of all. So a system that only groups and adds, such as Spark,
merges what tasks have learned without knowing what it is, and the result is the same to the bit.
Sums of floats are cells of their digits (`plumbline.features.statistics.fields`).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

SUM, LEAST, LARGEST, ANY_BIT = range(4)
"""The operations."""

CELLS = pa.schema(
    [
        ("part", pa.int32()),  # the statistic, if an accumulator has several
        ("integer", pa.int64()),  # the key, if it is an integer
        ("text", pa.large_binary()),  # the key, if it is text or several columns
        ("field", pa.int32()),  # the number of the key that the cell has
        ("operation", pa.int8()),
        ("value", pa.int64()),
    ]
)

Field = tuple[int, int, NDArray[np.int64]]
"""A field's number, its operation, and its value for each key, (V,)."""


def no_cells() -> pa.Table:
    """A table without cells. It is made on use: with its first table Arrow imports pandas."""
    return CELLS.empty_table()


def cells(keys: pa.Array | None, fields: Iterable[Field]) -> pa.Table:
    """The cells of distinct keys, integers or binary (V,); None is a statistic without keys.

    A zero that would change nothing gets no cell.

    >>> cells(pa.array([7, 5]), [(0, SUM, np.array([2, 0]))]).drop_columns("text").to_pylist()
    [{'part': 0, 'integer': 7, 'field': 0, 'operation': 0, 'value': 2}]
    """
    return pa.concat_tables([no_cells(), *(_cells(keys, *field) for field in fields)])


def of_part(table: pa.Table, part: int) -> pa.Table:
    """The cells as those of another part."""
    return table.set_column(0, CELLS.field(0), pa.array(np.full(len(table), part, np.int32)))


def _cells(
    keys: pa.Array | None, field: int, operation: int, values: NDArray[np.int64]
) -> pa.Table:
    if operation in (SUM, ANY_BIT):
        kept = np.flatnonzero(values)
        values = values[kept]
        keys = None if keys is None else keys.take(pa.array(kept))
    rows = len(values)
    integer, text = pa.nulls(rows, pa.int64()), pa.nulls(rows, pa.large_binary())
    if keys is not None and pa.types.is_integer(keys.type):
        integer = keys
    elif keys is not None:
        text = keys
    columns = [
        pa.array(np.zeros(rows, np.int32)),
        integer,
        text,
        pa.array(np.full(rows, field, np.int32)),
        pa.array(np.full(rows, operation, np.int8)),
        pa.array(values),
    ]
    return pa.table(columns, schema=CELLS)
