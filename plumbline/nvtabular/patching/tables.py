"""The files of NVTabular's own operators, and the vocabularies of patched ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from plumbline.base.errors import PlanError
from plumbline.columns.keys import part_values
from plumbline.features.operators.keyed_value import KeyedValue, by_key
from plumbline.features.statistics.keys import KeyTable, key_array, key_parts
from plumbline.features.steps.fit_step import Target


def read_vocabulary(
    path: Path, columns: Sequence[str], size: str, elements: Sequence[str], first_id: int | None
) -> tuple[list[pa.Array], np.ndarray[Any, np.dtype[np.int64]]]:
    """Read the `unique.<column>.parquet` of a fitted Categorify, a file or a folder of parts.

    A patched operator writes the values in the order of their ids; `first_id` is None. In a file of
    NVTabular's own, the id of a value is its row's index. Ids start at `first_id` and run on from
    part to part. Returns the values of each column in the order of their ids, and their counts.

    Raises
    ------
    PlanError
        The ids have gaps, or the values do not have the type in `elements` ("integer", "text").
    """
    files = sorted(path.glob("part.*.parquet"), key=_part_number) if path.is_dir() else [path]
    if size not in pq.read_schema(files[0]).names:
        raise PlanError(
            f"{path}: wanted a column {size!r} with the number of times that a value was seen."
        )
    if first_id is not None:
        ids = np.concatenate([pd.read_parquet(file, columns=[size]).index for file in files])
        if not np.array_equal(ids, np.arange(len(ids)) + first_id):
            raise PlanError(
                f"{path}: wanted ids from {first_id} on without a gap, got others. Was the "
                "vocabulary written by another version of NVTabular? Fit the workflow again."
            )
    table = pa.concat_tables([pq.read_table(file, columns=[*columns, size]) for file in files])
    parts = [
        _values(table[c], c, e, "a vocabulary") for c, e in zip(columns, elements, strict=True)
    ]
    return parts, np.asarray(table[size].cast(pa.int64()), dtype=np.int64)


def _values(values: pa.ChunkedArray, column: str, element: str, what: str) -> pa.Array:
    """The values as text, or as integers.

    Raises
    ------
    PlanError
        They have another type; `what` says what they are.
    """
    wanted = pa.string() if element == "text" else pa.int64()
    if len(values) == values.null_count:  # pandas writes a column without strings as nulls
        return pa.nulls(len(values), wanted)
    is_text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
    try:
        if is_text == (element == "text"):
            # Floats too: pandas makes floats of integers if one is missing.
            return values.cast(wanted).combine_chunks()
    except pa.ArrowInvalid:  # fractions
        pass
    raise PlanError.wrong_type(column, f"{what} of {wanted}", str(values.type))


def _part_number(part: Path) -> int:
    return int(part.name.split(".")[1])


def read_statistics(path: str, keys: Sequence[str]) -> pa.Table:
    """Read the statistics of every key, from a file or a folder of parts.

    NVTabular writes keys in no order, so they are sorted. A missing key is left out, because
    NVTabular does not count its rows.
    """
    folder = Path(path)
    files = sorted(folder.glob("part.*.parquet")) if folder.is_dir() else [folder]
    table = pa.concat_tables([pq.read_table(file) for file in files])
    has_key = pc.is_valid(table[keys[0]])
    for name in keys[1:]:
        has_key = pc.or_(has_key, pc.is_valid(table[name]))
    table = table.filter(has_key)
    names = [str(index) for index in range(len(keys))]  # Arrow reads a name such as ".a" as a path
    order = pc.sort_indices(
        table.select(list(keys)).rename_columns(names),
        sort_keys=[(name, "ascending") for name in names],
    )
    return table.take(order)


def keyed_step(
    target: Target,
    keys: Sequence[str],
    table: pa.Table,
    values: NDArray[np.float64],
    default: float | None,
) -> KeyedValue:
    """The step that maps the keys of the table to `values`, one per row.

    Raises
    ------
    PlanError
        The keys have another type than the target.
    """
    parts = []
    for name, type_ in zip(keys, target.types, strict=True):
        parts.append(part_values(_values(table[name], name, type_.element, "keys")))
    return by_key(target, KeyTable(key_parts(key_array(parts), target.types)), values, default)


def floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    return np.asarray(column.cast(pa.float64()).fill_null(np.nan), dtype=np.float64)
