"""The executors that run the workflows of NVTabular's tests: both engines, and online."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.nvtabular_tests_kinds import Kinds
from plumbline.base.errors import PlumblineError
from plumbline.columns.kinds import CLICK
from plumbline.columns.rows import Rows
from plumbline.columns.typed import TypedParquet, values_of
from plumbline.columns.wire import to_tensors
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.engine.native_engine import NativeEngine
from plumbline.features.fitting.conditions import Conditions
from plumbline.features.plan.plan import Plan
from plumbline.features.plan.unfitted import UnfittedPlan
from plumbline.features.steps.chains import Chain
from plumbline.nvtabular.engine import NVTabularEngine
from plumbline.nvtabular.library import Workflow

ULP, NEAR_ZERO = 2.0**-23, 1e-9
"""One unit in the last place of a float32, and rounding of statistics for numbers near 0."""


def refusals(
    workflow: Workflow,
    unfitted: UnfittedPlan,
    kinds: Kinds,
    splits: Mapping[str, Path],
    folder: Path,
) -> Iterator[str]:
    """Fit and encode with both engines; the messages of those that refuse."""
    source = TypedParquet(splits, kinds)
    try:
        NativeEngine(unfitted).fit_transform(source, folder / "native", _ignore)
    except PlumblineError as error:
        yield f"The native engine: {error}"
    try:
        engine = NVTabularEngine("cpu", None)
        engine.fit_transform(workflow, kinds, splits, folder / "patched", _ignore)
    except PlumblineError as error:
        yield f"The NVTabular engine: {error}"


def differing_columns(encoded: pa.Table, others: pa.Table) -> Iterator[str]:
    """The columns that two executors of one plan have encoded differently."""
    for name in encoded.column_names:
        one, two = encoded[name], others[name]
        if pa.types.is_floating(one.type):
            same = np.allclose(np.asarray(two), np.asarray(one), ULP, NEAR_ZERO, equal_nan=True)
        else:
            same = one.to_pylist() == two.to_pylist()
        if not same:
            yield name


def online(plan: Plan, rows: pa.Table) -> pa.Table:
    """The rows encoded by the online executor."""
    executor = OnlineExecutor(plan)
    encoded = executor.transform(to_tensors(rows, executor.columns))
    ids, bags, dense = iter(encoded.ids_BF.T), iter(encoded.bags), iter(encoded.dense_BC.T)
    columns = {}
    for column in plan.outputs:
        if column.is_list:
            bag = next(bags)
            columns[column.name] = pa.LargeListArray.from_arrays(bag.offsets, bag.values)
        else:
            columns[column.name] = pa.array(next(ids if column.is_categorical else dense))
    return pa.table({**columns, CLICK: rows[CLICK]})


def kept(table: pa.Table, kinds: Kinds, conditions: Sequence[Chain]) -> NDArray[np.bool_]:
    """The mask of the rows that a graph's conditions keep."""
    columns = {name: values_of(table[name]) for name in kinds}
    return Conditions(conditions).hold(Rows(columns, np.asarray(table[CLICK], np.int8)))


def written(rows: pa.Table, folder: Path) -> dict[str, Path]:
    """The rows in two files, as the training split and as a split that nothing is learned from."""
    half = (len(rows) + 1) // 2
    splits = {split: folder / split for split in ("train", "test")}
    for path in splits.values():
        path.mkdir(parents=True)
        for number, part in enumerate((rows.slice(0, half), rows.slice(half))):
            pq.write_table(part, path / f"part-{number:05d}.parquet")
    return splits


def read(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(file) for file in sorted(folder.iterdir())])


def _ignore(rows: int) -> None:
    """Progress that is not shown."""
