"""Convert rows of any common type to an Arrow table of the wanted columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import date, time, timedelta
from numbers import Number
from typing import Any

import numpy as np
import pyarrow as pa

from plumbline.base.errors import PlanError
from plumbline.columns.value_rules.arrow_types import TypeRefused, simple

_MISSING_OF_PANDAS = ("NAType", "NaTType")
_SUPPORTED = "text, numbers, booleans, dates or lists of them"


def to_table(data: Any, columns: Iterable[str]) -> pa.Table:
    """The columns of `data` that are in `columns`, in Arrow's plain types.

    `data` is one of

    - a mapping of column name to values: lists, arrays, pandas or polars Series;
    - a mapping of column name to a single value: one row, whose lists are values of list columns;
    - a list of rows, each a mapping that has every one of `columns`;
    - a pandas or polars DataFrame;
    - an Arrow table or record batch, or anything else that exports an Arrow stream.

    None, NaN, NaT and pandas' NA are missing. What a value means depends on its column's kind: see
    `plumbline.columns.value_rules`.

    Raises
    ------
    PlanError
        `data` is of another type, columns differ in length, a row lacks a column, a column is there
        twice, or values have mixed types.
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
        table = _selected(_of_stream(data, wanted), wanted)
    elif isinstance(data, Sequence) and not isinstance(data, str | bytes):
        table = _from_arrays(_arrays(_transposed(data, wanted)))
    else:
        raise _unsupported(data)
    return _with_plain_types(table)


def _with_plain_types(table: pa.Table) -> pa.Table:
    """Replace dictionary and view types by the types of their values, also inside lists."""
    packed = [field.name for field in table.schema if _is_packed(field.type)]
    if not packed:
        return table
    try:
        plain = {name: simple(name, table[name]) for name in packed}
    except TypeRefused as error:
        raise PlanError(f"{str(error)[0].upper()}{str(error)[1:]}.") from None
    return _from_arrays({name: plain.get(name, table[name]) for name in table.column_names})


def _is_packed(type_: pa.DataType) -> bool:
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return _is_packed(type_.value_type)
    return bool(pa.types.is_dictionary(type_)) or str(type_) == "string_view"


def _unsupported(data: Any) -> PlanError:
    hint = " Call collect() on it." if hasattr(data, "collect") else ""
    return PlanError(
        "Rows: wanted a mapping of column name to values, a list of rows, a DataFrame or an Arrow "
        f"table, got {type(data).__name__}.{hint}"
    )


def _selected(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    names = set(table.column_names)
    _check_once(table.column_names, columns)
    return table.select([name for name in columns if name in names])


def _of_stream(data: Any, columns: Sequence[str]) -> pa.Table:
    if hasattr(data, "select") and hasattr(data, "get_columns"):  # a polars DataFrame
        return _from_arrays(_arrays({n: data.get_column(n) for n in columns if n in data.columns}))
    try:
        return pa.table(data)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise PlanError(
            f"Rows: {type(data).__name__} cannot be read as an Arrow table ({error})."
        ) from None


def _check_once(names: Iterable[str], columns: Sequence[str]) -> None:
    times = Counter(names)
    twice = [name for name in columns if times[name] > 1]
    if twice:
        raise PlanError(f"Rows: duplicate column {', '.join(twice)}. Keep one of each.")


def _of_rows(data: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """The wanted columns. A single row becomes columns of one value."""
    chosen = {name: data[name] for name in columns if name in data}
    if any(_is_single(value) for value in chosen.values()):
        return {name: [_listed(value)] for name, value in chosen.items()}
    return chosen


def _is_single(value: Any) -> bool:
    if value is None or isinstance(value, str | bytes | Number | np.generic | date | time):
        return True
    if isinstance(value, timedelta) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return True
    return type(value).__name__ in _MISSING_OF_PANDAS


def _listed(value: Any) -> Any:
    """A row's list as a Python list, which Arrow reads as one."""
    if isinstance(value, np.ndarray) or hasattr(value, "iloc"):
        return value.tolist()
    return value.to_list() if hasattr(value, "to_arrow") else value


def _transposed(rows: Sequence[Any], columns: Sequence[str]) -> dict[str, list[Any]]:
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise PlanError(
                f"Rows: wanted each row of a list as a mapping of column name to value, "
                f"got {type(row).__name__} in row {number}."
            )
        missing = [name for name in columns if name not in row]
        if missing:
            raise PlanError(
                f"Rows: row {number} has no {', '.join(missing)}. Every row needs every column; "
                "a missing value is None, in JSON null."
            )
    return {name: [_listed(row[name]) for row in rows] for name in columns}


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
    """An Arrow array of a column's values, from any container."""
    if type(values) is not list:
        if hasattr(values, "to_arrow"):  # polars
            return _of_polars(name, values)
        if isinstance(values, Mapping | Set):  # not a sequence of values
            raise PlanError.wrong_type(name, "a list of values", type(values).__name__)
        if type(getattr(values, "dtype", None)).__name__ == "SparseDtype":
            values = np.asarray(values)
    try:
        array = pa.array(values, from_pandas=True)
    except OverflowError:
        return _of_large_integers(name, values)
    except UnicodeEncodeError as error:
        got = f"{error.object!r:.40}, which is not valid UTF-8 ({error.reason})"
        raise PlanError.wrong_type(name, "text", got) from None
    except (pa.ArrowException, TypeError, ValueError) as error:
        if isinstance(error, TypeError) and not isinstance(values, Iterable):
            got = type(values).__name__
            raise PlanError.wrong_type(name, "a list of values", got) from None
        return _of_objects(name, values, error)
    may_be_integers = isinstance(values, np.ndarray) or hasattr(values, "iloc")
    return _integers_if_possible(array) if may_be_integers else array


def _integers_if_possible(array: Any) -> Any:
    """Floats as integers if they are whole: pandas and NumPy have no missing integers."""
    if pa.types.is_floating(array.type):
        try:
            return array.cast(pa.int64())
        except pa.ArrowInvalid:
            return array
    return array


def _of_polars(name: str, series: Any) -> Any:
    if str(series.dtype) == "Object":  # Arrow would use the objects' addresses
        return _array(name, series.to_list())
    try:
        return (series.cast(str) if "Int128" in str(series.dtype) else series).to_arrow()
    except pa.ArrowException:
        raise PlanError.wrong_type(name, _SUPPORTED, f"polars' {series.dtype}") from None


def _of_large_integers(name: str, values: Any) -> Any:
    """Unsigned integers, or lists of them; integers beyond 64 bits become text."""
    for wanted in (pa.uint64(), pa.list_(pa.uint64())):
        try:
            return pa.array(values, wanted, from_pandas=True)
        except (OverflowError, pa.ArrowException, TypeError):
            pass
    try:
        return pa.array([_digits(value) for value in values])
    except (pa.ArrowException, TypeError) as error:
        return _of_objects(name, values, error)


def _digits(value: Any) -> Any:
    """An integer, or a list of integers, as text; None for a missing one."""
    if isinstance(value, list | tuple | np.ndarray):
        return [_digits(element) for element in value]
    if value is None or value != value or type(value).__name__ in _MISSING_OF_PANDAS:
        return None
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"integers and {type(value).__name__}")
    return str(value)


def _of_objects(name: str, values: Any, error: Exception) -> Any:
    """A list of numpy.datetime64, whose type Arrow does not infer; anything else is an error."""
    if isinstance(values, Sequence | np.ndarray) and any(
        isinstance(value, np.datetime64) for value in values
    ):
        try:
            return pa.array(np.array(values, "datetime64[us]"))
        except ValueError:
            pass
    reason = " ".join(str(error).split())
    raise PlanError.wrong_type(name, "values of one type", f"mixed ({reason:.200})") from None
