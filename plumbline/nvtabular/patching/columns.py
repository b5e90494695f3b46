"""A data frame's columns (pandas or cuDF) in the form that the patched operators compute in.

Numbers are float64, integers are nullable, and a missing list is an empty one
(`plumbline.nvtabular.frames` reads them so). Inside of lists the wire's marks stand for missing
elements.
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
    """A pandas frame or column, not one of cuDF."""
    return isinstance(frame, (pd.DataFrame, pd.Series))


def frame_of(like: Any, columns: dict[str, Any]) -> Any:
    """A frame of the same library, counted from 0, with these columns of as many rows."""
    return type(like)(columns).reset_index(drop=True)


def numbers(column: Any) -> Any:
    """Numbers, integers or flags as float64; NaN (in cuDF null) where they are missing."""
    if is_host(column):
        return pd.Series(column.to_numpy(np.float64, na_value=np.nan), name=column.name)
    return column.astype(np.float64).nans_to_nulls().reset_index(drop=True)


def keys(column: Any) -> Any:
    """Integers, which may be missing, or text, None or null where it is missing."""
    if is_host(column) and column.dtype.kind in "iub":
        return pd.Series(pd.array(column, "Int64"), name=column.name)
    return column.reset_index(drop=True)


def is_list(column: Any) -> bool:
    if is_host(column):
        return bool(len(column)) and isinstance(column.iloc[0], (np.ndarray, list))
    return "list" in str(column.dtype)


def elements(column: Any) -> Any:
    """The elements of all lists, one behind the other, as `keys`."""
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
    """`values`, one an element, in lists as long as those of `column`."""
    if not is_host(column):
        return encode_list_column(column, values)
    ends = np.cumsum([len(value) for value in column])
    lists = pd.Series(np.empty(len(column), object), name=column.name)
    lists[:] = np.split(np.asarray(values), ends[:-1])
    return lists


def key_frame(frame: Any, names: Sequence[str]) -> Any:
    """The key columns of single values."""
    return frame_of(frame, {name: keys(frame[name]) for name in names})


def looked_up(wanted: Any, table: Any, names: Sequence[str]) -> Any:
    """The rows of `table` whose key columns are those of `wanted`, row by row, missing if none."""
    types = {name: wanted[name].dtype for name in names}
    left, right = wanted[list(names)], table.astype(types)
    if is_host(left):  # pandas keeps the order of the left rows
        return left.merge(right, on=list(names), how="left").drop(columns=list(names))
    left = left.assign(**{ORDER: np.arange(len(left))})
    found = left.merge(right, on=list(names), how="left").sort_values(ORDER)
    return found.drop(columns=[*names, ORDER]).reset_index(drop=True)


def hashes(column: Any) -> NDArray[np.uint64]:
    """64-bit hash of every value: on a host pandas' own, and from cuDF the same.

    NVTabular's has the row's number mixed in on pandas, and is another one on cuDF.
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
    """Integers or text on the host, in the executors' form."""
    host = keys(column)
    if not is_host(host):
        return values_of(host.to_arrow())
    type_ = pa.large_string() if host.dtype == object else None
    return values_of(pa.Array.from_pandas(host, type=type_))


def modulo(hashed: NDArray[np.uint64], count: int) -> NDArray[np.int64]:
    return (hashed % np.uint64(count)).astype(np.int64)


def value_hashes(column: Any) -> NDArray[np.uint64]:
    """The hash of each number or key of a column of single values."""
    return hashes(numbers(column) if column.dtype.kind == "f" else keys(column))


def as_group(name: str | Sequence[str]) -> tuple[str, ...]:
    """The columns that are selected together."""
    return (name,) if isinstance(name, str) else tuple(name)


def changed(df: Any, names: Sequence[str], change: Callable[[str, Any], Any]) -> Any:
    """A frame of the columns, each changed by `change(name, its numbers)`."""
    return frame_of(df, {name: change(name, numbers(df[name])) for name in names})


def host_numbers(column: Any) -> NDArray[np.float64]:
    """The numbers on the host, NaN where they are missing."""
    values = numbers(column)
    return np.asarray(values.to_numpy() if is_host(values) else values.fillna(np.nan).to_numpy())
