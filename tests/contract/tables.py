"""Running the engines on small tables, and comparing what they encode."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from plumbline.base.native import SETTING
from plumbline.columns.kinds import CLICK
from plumbline.columns.wire import to_tensors
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.plan.plan import Plan

ULP = 2.0**-23
"""One unit in the last place of a float32."""

ATOL = 1e-9
"""Rounding of statistics in float64, for numbers near 0."""


def write_splits(folder: Path, train: pa.Table, test: pa.Table) -> dict[str, Path]:
    """Write the training split as two files, so that statistics are merged from parts."""
    half = len(train) // 2
    parts = {"train": [train.slice(0, half), train.slice(half)], "test": [test]}
    for split, tables in parts.items():
        (folder / split).mkdir(parents=True)
        for number, table in enumerate(tables):
            pq.write_table(table, folder / split / f"part-{number:05d}.parquet")
    return {split: folder / split for split in parts}


def read(folder: Path) -> pa.Table:
    """The rows of all files of a folder."""
    return pa.concat_tables([pq.read_table(file) for file in sorted(folder.iterdir())])


def online(plan: Plan, rows: pa.Table) -> pa.Table:
    """The rows encoded by the online executor, as a table like those of the engines."""
    executor = OnlineExecutor(plan)
    encoded = executor.transform(to_tensors(rows, executor.columns))
    ids, bags, dense = iter(encoded.ids_BF.T), iter(encoded.bags), iter(encoded.dense_BC.T)
    columns: dict[str, Any] = {}
    for column in plan.outputs:
        if column.is_list:
            bag = next(bags)
            columns[column.name] = pa.LargeListArray.from_arrays(bag.offsets, bag.values)
        else:
            columns[column.name] = pa.array(next(ids if column.is_categorical else dense))
    return pa.table({**columns, CLICK: rows[CLICK]})


@contextmanager
def native_setting(native: str) -> Iterator[None]:
    """Native code is used ("1") or NumPy ("0") inside the block."""
    before = os.environ.get(SETTING)
    os.environ[SETTING] = native
    try:
        yield
    finally:
        os.environ[SETTING] = before if before is not None else "1"


def assert_same(reference: pa.Table, other: pa.Table) -> None:
    """Ids are identical; numbers differ by rounding at most."""
    assert other.column_names == reference.column_names
    for name in reference.column_names:
        one, two = reference[name], other[name]
        if pa.types.is_floating(one.type):
            assert_close(np.asarray(one), np.asarray(two), name)
        else:
            assert two.to_pylist() == one.to_pylist(), name


def assert_close(reference: Any, other: Any, what: str) -> None:
    np.testing.assert_allclose(other, reference, rtol=ULP, atol=ATOL, err_msg=what)


def no_progress(rows: int) -> None:
    """A progress callback that does nothing."""
