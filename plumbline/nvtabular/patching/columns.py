"""Columns of pandas and cuDF frames, converted to what the patched operators compute with.

Numbers are float64, integers are nullable, and a missing list is an empty list. Inside of lists the
wire's null marks stand for missing elements, as `plumbline.nvtabular.frames` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.columns.typed import values_of
from plumbline.columns.values import NULL_INT64, Values
from plumbline.nvtabular.library import encode_list_column

ORDER = "\x1forder"


def is_host(frame: Any) -> bool:
    """Whether a frame or column is of pandas, not of cuDF."""
    return isinstance(frame, (pd.DataFrame, pd.Series))


def frame_of(like: Any, columns: dict[str, Any]) -> Any:
    """A frame of these columns, of the library of `like`, indexed from 0."""
    return type(like)(columns).reset_index(drop=True)


def numbers(column: Any) -> Any:
    """Numbers, integers or booleans as float64; missing values are NaN (null in cuDF)."""
    if is_host(column):
        return pd.Series(column.to_numpy(np.float64, na_value=np.nan), name=column.name)
    return column.astype(np.float64).nans_to_nulls().reset_index(drop=True)


def keys(column: Any) -> Any:
    """Nullable integers or text; missing values are null (None in text of pandas)."""
    if is_host(column) and column.dtype.kind in "iub":
        return pd.Series(pd.array(column, "Int64"), name=column.name)
    return column.reset_index(drop=True)


def is_list(column: Any) -> bool:
    if is_host(column):
        return bool(len(column)) and isinstance(column.iloc[0], (np.ndarray, list))
    return "list" in str(column.dtype)


def elements(column: Any) -> Any:
    """The concatenated elements of all lists, converted as by `keys`."""
    if not is_host(column):
        flat = column.list.leaves.reset_index(drop=True)
        mark = "" if flat.dtype == object else NULL_INT64
        return flat.where(flat != mark, None)
    flat = np.concatenate([np.asarray(value) for value in column])
    if flat.dtype.kind in "iu":
        return pd.Series(pd.arrays.IntegerArray(flat.astype(np.int64), flat == NULL_INT64))
    flat = pd.Series(flat, dtype=object)
    return flat.where(flat != "", None)


def relisted(column: Any, values: Any) -> Any:
    """`values`, one per element, split into lists of the lengths of `column`."""
    if not is_host(column):
        return encode_list_column(column, values)
    ends = np.cumsum([len(value) for value in column])
    return listed(column, np.split(np.asarray(values), ends[:-1]))


def listed(column: Any, lists: Sequence[Any]) -> Any:
    """A column of pandas with these lists, named like `column`."""
    result = pd.Series(np.empty(len(column), object), name=column.name)
    result[:] = lists
    return result


def key_frame(frame: Any, names: Sequence[str]) -> Any:
    """A frame of key columns, none of which has lists."""
    return frame_of(frame, {name: keys(frame[name]) for name in names})


def looked_up(frame: Any, table: Any, names: Sequence[str]) -> Any:
    """For each row of `frame`, the row of `table` with the same keys; null if there is none.

    `names` are the key columns, which the result leaves out. The keys of `table` are unique.
    """
    types = {name: frame[name].dtype for name in names}
    left, right = frame[list(names)], table.astype(types)
    if is_host(left):  # pandas keeps the order of the left rows
        return left.merge(right, on=list(names), how="left").drop(columns=list(names))
    left = left.assign(**{ORDER: np.arange(len(left))})
    joined = left.merge(right, on=list(names), how="left").sort_values(ORDER)
    return joined.drop(columns=[*names, ORDER]).reset_index(drop=True)


def hashes(column: Any) -> NDArray[np.uint64]:
    """The 64-bit hash of every value, that of `pandas.util.hash_array` on every device.

    NVTabular mixes the row's number into the hash on pandas, and uses another hash on cuDF.
    """
    host = column if is_host(column) else column.to_pandas(nullable=True)
    if host.dtype.kind == "f":
        values = host.to_numpy(np.float64, na_value=np.nan)
        return _hash_array(np.where(np.isnan(values), np.nan, values + 0.0))
    missing = host.isna().to_numpy()
    if host.dtype.kind in "iub":
        values = host.to_numpy(np.int64, na_value=0)
    else:
        values = host.to_numpy(object, na_value="")
    hashed = _hash_array(values)
    hashed[missing] = np.uint64(2**64 - 1)
    return hashed


def _hash_array(values: NDArray[Any]) -> NDArray[np.uint64]:
    return np.asarray(pd.util.hash_array(values), np.uint64)


def key_values(column: Any) -> Values:
    """Integers or text on the host, as the executors take them."""
    host = keys(column)
    if not is_host(host):
        return values_of(host.to_arrow())
    type_ = pa.large_string() if host.dtype == object else None
    return values_of(pa.Array.from_pandas(host, type=type_))


def value_hashes(column: Any) -> NDArray[np.uint64]:
    """The hash of each number or key of a column of single values."""
    return hashes(numbers(column) if column.dtype.kind == "f" else keys(column))


def as_group(name: str | Sequence[str]) -> tuple[str, ...]:
    """An entry of `grouped_names` as a tuple of column names."""
    return (name,) if isinstance(name, str) else tuple(name)


def changed(df: Any, names: Sequence[str], change: Callable[[str, Any], Any]) -> Any:
    """A frame of the columns, each replaced by `change(name, numbers)`."""
    return frame_of(df, {name: change(name, numbers(df[name])) for name in names})


def host_numbers(column: Any) -> NDArray[np.float64]:
    """The numbers on the host as float64, NaN where they are missing."""
    values = numbers(column)
    return np.asarray(values.to_numpy() if is_host(values) else values.fillna(np.nan).to_numpy())
