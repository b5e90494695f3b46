"""Take rows in the forms that callers have them in: the named columns as an Arrow table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from numbers import Number
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import PlanError
from features.values import offsets_of


def to_table(data: Any, columns: Iterable[str]) -> pa.Table:
    """The columns of `data` that are asked for and there, in Arrow's plain types.

    `data` is one of

    - a mapping of column name to values: lists, arrays, pandas or polars Series;
    - such a mapping of single values: it is one row, and a list in it is that row's list;
    - a list of rows, each a mapping with every column that is asked for;
    - a pandas or polars DataFrame;
    - an Arrow table or record batch, or anything else that exports an Arrow stream.

    Dictionary and view types become the types of their values, inside lists too. In pandas and
    NumPy whole numbers may stand as floats, because integers with missing values cannot be anything
    else there.

    Raises
    ------
    PlanError
        Another kind of object, columns of different lengths, a row that lacks a column, a column
        that is there twice; or columns of mixed types, of which all are named.
    """
    wanted = tuple(columns)
    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    if isinstance(data, pa.Table):
        table = _selected(data, wanted)
    elif isinstance(data, Mapping):
        table = _from_arrays(_arrays(_of_rows(data, wanted)))
    elif hasattr(data, "iloc") and hasattr(data, "columns"):
        _check_once(data.columns, wanted)
        table = _from_arrays(_arrays({n: data[n] for n in wanted if n in data.columns}))
    elif hasattr(data, "__arrow_c_stream__"):
        table = _selected(pa.table(_without_others(data, wanted)), wanted)
    elif isinstance(data, Sequence) and not isinstance(data, str | bytes):
        table = _from_arrays(_arrays(_transposed(data, wanted)))
    else:
        raise _unknown_form(data)
    return _with_plain_types(table)


def _with_plain_types(table: pa.Table) -> pa.Table:
    columns = {name: table[name] for name in table.column_names}
    plain = {name: _plain(column) for name, column in columns.items()}
    if all(plain[name] is column for name, column in columns.items()):
        return table
    return _from_arrays(plain)


def _unknown_form(data: Any) -> PlanError:
    hint = " Call collect() on it." if hasattr(data, "collect") else ""
    return PlanError(
        "Rows: wanted a mapping of column name to values, a list of rows, a DataFrame or an Arrow "
        f"table, got {type(data).__name__}.{hint}"
    )


def _selected(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    _check_once(table.column_names, columns)
    return table.select([name for name in columns if name in table.column_names])


def _without_others(data: Any, columns: Sequence[str]) -> Any:
    """A polars DataFrame may hold columns that have no form in Arrow."""
    if not (hasattr(data, "select") and hasattr(data, "get_columns")):
        return data
    return data[[name for name in columns if name in data.columns]]


def _check_once(names: Iterable[str], columns: Sequence[str]) -> None:
    times = Counter(names)
    twice = [name for name in columns if times[name] > 1]
    if twice:
        raise PlanError(f"Rows: more than one column is called {', '.join(twice)}. Keep one.")


def _of_rows(data: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """The columns that are asked for; those of one row become columns of one value."""
    chosen = {name: data[name] for name in columns if name in data}
    if any(_is_single(value) for value in chosen.values()):
        return {name: [value] for name, value in chosen.items()}
    return chosen


def _is_single(value: Any) -> bool:
    return value is None or isinstance(value, str | bytes | Number | np.generic)


def _transposed(rows: Sequence[Any], columns: Sequence[str]) -> dict[str, list[Any]]:
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise PlanError(
                f"Rows: wanted each row of a list as a mapping of column name to value, "
                f"got {type(row).__name__} in row {number}."
            )
        lacking = [name for name in columns if name not in row]
        if lacking:
            raise PlanError(
                f"Rows: row {number} lacks {', '.join(lacking)}. Every row needs every column; "
                "a missing value is None."
            )
    return {name: [row[name] for row in rows] for name in columns}


def _from_arrays(arrays: Mapping[str, Any]) -> pa.Table:
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        rows = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise PlanError(f"The columns differ in their number of rows: {rows}.")
    return pa.table(dict(arrays))


def _arrays(values: Mapping[str, Any]) -> dict[str, Any]:
    arrays, problems = {}, []
    for name, column in values.items():
        try:
            arrays[name] = _array(name, column)
        except PlanError as error:
            problems.append(str(error))
    if problems:
        raise PlanError(" ".join(problems))
    return arrays


def _array(name: str, values: Any) -> Any:
    if hasattr(values, "to_arrow"):  # polars
        return values.to_arrow()
    without_nulls = isinstance(values, np.ndarray) or hasattr(values, "iloc")
    try:
        array = pa.array(values, from_pandas=without_nulls)
    except (pa.ArrowException, OverflowError) as error:
        raise PlanError.wrong_type(name, "values of one type", str(error)) from None
    except TypeError:
        raise PlanError.wrong_type(name, "a list of values", type(values).__name__) from None
    if without_nulls and pa.types.is_floating(array.type):
        return _whole_if_possible(array)
    if without_nulls and _is_list_of_floats(array.type):
        return _list_of(array, _whole_if_possible(pc.list_flatten(array)))
    return array


def _is_list_of_floats(type_: pa.DataType) -> bool:
    return bool(pa.types.is_list(type_) and pa.types.is_floating(type_.value_type))


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
