"""Take rows in the forms that callers have them in: the named columns as an Arrow table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import PlanError
from features.values import offsets_of


def to_table(data: Any, columns: Iterable[str]) -> pa.Table:
    """The columns of `data` that are asked for and there, in Arrow's plain types.

    `data` is an Arrow table, a mapping of column name to values, a pandas DataFrame, or anything
    that exports an Arrow stream, such as a polars DataFrame. Dictionary and view types become the
    types of their values, inside lists too. In a pandas DataFrame whole numbers may stand as
    floats, because an integer column with missing values cannot be anything else there.

    Raises
    ------
    PlanError
        Another kind of object, columns of different lengths, or a column of mixed types.
    """
    if isinstance(data, pa.Table):
        table = _selected(data, columns)
    elif isinstance(data, Mapping):
        table = _from_arrays({n: _array(n, data[n], False) for n in columns if n in data})
    elif hasattr(data, "__arrow_c_stream__"):
        table = _selected(pa.table(data), columns)
    elif hasattr(data, "columns") and hasattr(data, "iloc"):
        table = _from_arrays({n: _array(n, data[n], True) for n in columns if n in data.columns})
    else:
        raise PlanError(
            "Rows: wanted a mapping of column name to values, a DataFrame or an Arrow table, "
            f"got {type(data).__name__}."
        )
    return _from_arrays({name: _plain(table[name]) for name in table.column_names})


def _selected(table: pa.Table, columns: Iterable[str]) -> pa.Table:
    return table.select([name for name in columns if name in table.column_names])


def _from_arrays(arrays: Mapping[str, Any]) -> pa.Table:
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        rows = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise PlanError(f"The columns differ in their number of rows: {rows}.")
    return pa.table(dict(arrays))


def _array(name: str, values: Any, from_pandas: bool) -> Any:
    try:
        array = pa.array(values, from_pandas=from_pandas)
    except (pa.ArrowException, OverflowError) as error:
        raise PlanError.wrong_type(name, "values of one type", str(error)) from None
    except TypeError:
        raise PlanError.wrong_type(name, "a list of values", type(values).__name__) from None
    if from_pandas and pa.types.is_floating(array.type):
        return _whole_if_possible(array)
    if from_pandas and pa.types.is_list(array.type) and pa.types.is_floating(array.type.value_type):
        return _list_of(array, _whole_if_possible(pc.list_flatten(array)))
    return array


def _whole_if_possible(array: Any) -> Any:
    try:
        return array.cast(pa.int64())
    except pa.ArrowInvalid:
        return array


def _list_of(array: Any, elements: Any) -> Any:
    """The lists of an array, of elements that take the place of its own."""
    lengths = pc.fill_null(pc.list_value_length(array), 0)
    offsets = offsets_of(np.asarray(lengths, np.int64))
    return pa.LargeListArray.from_arrays(offsets, elements)


def _plain(column: Any) -> Any:
    """Of an array or a chunked array."""
    if pa.types.is_dictionary(column.type):
        chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        values = [_plain(chunk.dictionary).take(chunk.indices) for chunk in chunks]
        return pa.chunked_array(values) if values else pa.nulls(0)
    if str(column.type) == "string_view":  # older pyarrow has no such type, and no test for it
        return column.cast(pa.large_string())
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        elements = column.type.value_type
        if pa.types.is_dictionary(elements) or str(elements) == "string_view":
            return _list_of(column, _one_array(_plain(pc.list_flatten(column))))
    return column


def _one_array(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
