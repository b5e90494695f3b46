"""The contract of the engines: NVTabular, Polars and the online executor give the same results.

One workflow, drawn at random from every operator that has a compiled form (`graphs`), is fitted and
run by NVTabular on pandas, the reference, and by the native engine; the online executor runs the
plan of each, in its native form and in NumPy's. Plans have the same columns, steps and
vocabularies; ids are identical; floats are equal to one place of float32, where a difference in the
last places of a statistic's float64 does not carry further (ATOL).
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from plumbline.base.errors import DataError
from plumbline.base.native import SETTING
from plumbline.columns.kinds import CLICK
from plumbline.columns.typed import TypedParquet, typed_schema
from plumbline.columns.wire import NULL_INT64, to_tensors
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.engine.native_engine import NativeEngine
from plumbline.features.lookup.tables import VALUE
from plumbline.features.operators.categorify import Categorify
from plumbline.features.operators.keyed_value import KeyedValue
from plumbline.features.plan.plan import Plan, read_plan
from plumbline.features.steps.chains import Chain
from plumbline.nvtabular.compile import compile_unfitted
from plumbline.nvtabular.engine import NVTabularEngine
from plumbline.nvtabular.graphs import build
from plumbline.settings import WorkflowSettings
from tests.contract.graphs import Graph, workflows

ULP = 2.0**-23
ATOL = 1e-9
CRITEO = WorkflowSettings(graph="criteo", options={"frequency_threshold": 0})

EDGES = [2**63 - 1, 2**63 - 2, -(2**63) + 1, NULL_INT64, 2**53, 2**53 + 1, -1, 0]
WORDS = ["", " ", "a", "é", "e\u0301", "漢字", "😀", "null", "NaN", "0"]
# Not with U+0000: pandas takes what comes before it for the whole string (see the last test).
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=2)

# Of ordinary size where statistics come from them; anything at all in the other splits.
TRAINED = st.none() | st.just(math.nan) | st.integers(-80, 80).map(lambda n: n / 8)
INTEGERS = st.none() | st.sampled_from(EDGES) | st.integers(-3, 3)
HEXES = st.none() | st.sampled_from([2**63 - 1, 2**32, 0]) | st.integers(0, 5)
STRINGS = st.none() | st.sampled_from(WORDS) | TEXT
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "continuous": st.none() | st.floats(width=32),
    "integer": INTEGERS,
    "hex": HEXES,
    "string": STRINGS,
    "integer_list": st.none() | st.lists(INTEGERS, max_size=3),
    "hex_list": st.none() | st.lists(HEXES, max_size=3),
    "string_list": st.none() | st.lists(STRINGS, max_size=3),
}

# What stands around a column's name: patterns of Polars, paths of Arrow and of files, length.
AROUND = [("", ""), ("", ""), ("^", "$"), ("*", ""), ("[", "]"), ("..", ""), ("n" * 200, ""),
          ("a/b\n", " "), ("é" * 100, "")]  # fmt: skip


@st.composite
def column_kinds(draw: st.DrawFn) -> dict[str, Any]:
    counts = {kind: draw(st.integers(0, 2)) for kind in VALUES}
    before, behind = draw(st.sampled_from(AROUND))
    kinds = {
        f"{before}{kind}{n}{behind}": kind for kind, count in counts.items() for n in range(count)
    }
    return kinds or {"x": "continuous"}


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, Any], Graph, pa.Table, pa.Table]:
    """Kinds, a workflow, a training split, and a split with values that training has not seen."""
    kinds = draw(column_kinds())

    def table(rows: int, continuous: st.SearchStrategy[Any]) -> pa.Table:
        strategies = {**VALUES, "continuous": continuous}
        columns = [
            draw(st.lists(strategies[kind], min_size=rows, max_size=rows))
            for kind in kinds.values()
        ]
        click = draw(st.lists(st.integers(0, 1), min_size=rows, max_size=rows))
        schema = typed_schema(kinds)
        arrays = zip([*columns, click], schema.types, strict=True)
        return pa.table([pa.array(*array) for array in arrays], schema=schema)

    train = table(draw(st.integers(1, 12)), TRAINED)
    test = table(draw(st.integers(0, 8)), VALUES["continuous"])
    return kinds, draw(workflows(kinds)), train, test


@settings(
    max_examples=40,
    derandomize=True,
    phases=[Phase.generate],  # cases are small as they are, and shrinking would take minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(case=cases())
@pytest.mark.timeout(600)
def test_three_executors_give_the_same(
    case: tuple[dict[str, Any], Graph, pa.Table, pa.Table],
) -> None:
    kinds, graph, train, test = case
    assume(compile_unfitted(graph.build(), kinds).outputs)  # not if all inputs are removed
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        splits = write_splits(folder / "raw", train, test)
        failures = {}
        for side, run in (("nvtabular", nvtabular), ("native", native_engine)):
            try:
                run(graph, kinds, splits, folder / side)
            except DataError as error:
                failures[side] = error
        if failures:  # a training split without a number that a statistic needs
            assert failures.keys() == {"nvtabular", "native"}, failures
            return
        reference, plan = (read_plan(folder / side / "plan") for side in ("nvtabular", "native"))
        same_plan(reference, plan)
        for split, raw in splits.items():
            rows = read(raw)
            encoded = read(folder / "nvtabular" / split)
            same(encoded, read(folder / "native" / split))
            for of in (reference, plan):
                for native in ("1", "0"):
                    with form(native):
                        same(encoded, online(of, rows))


def nvtabular(graph: Graph, kinds: dict[str, Any], splits: dict[str, Path], out: Path) -> None:
    NVTabularEngine("cpu", None).fit_transform(graph.build(), kinds, splits, out, nobody)


def native_engine(graph: Graph, kinds: dict[str, Any], splits: dict[str, Path], out: Path) -> None:
    engine = NativeEngine(compile_unfitted(graph.build(), kinds))
    engine.fit_transform(TypedParquet(splits, kinds), out, nobody)


@contextmanager
def form(native: str) -> Iterator[None]:
    before = os.environ.get(SETTING)
    os.environ[SETTING] = native
    try:
        yield
    finally:
        os.environ[SETTING] = before if before is not None else "1"


def online(plan: Plan, rows: pa.Table) -> pa.Table:
    """The rows as the online executor encodes them, in the files' columns."""
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


def same(reference: pa.Table, other: pa.Table) -> None:
    assert other.column_names == reference.column_names
    for name in reference.column_names:
        one, two = reference[name], other[name]
        if pa.types.is_floating(one.type):
            close(np.asarray(one), np.asarray(two), name)
        else:
            assert two.to_pylist() == one.to_pylist(), name


def close(reference: Any, other: Any, what: str) -> None:
    np.testing.assert_allclose(other, reference, rtol=ULP, atol=ATOL, err_msg=what)


def same_plan(reference: Plan, plan: Plan) -> None:
    """Columns, steps and files are the same; fitted numbers are, but for rounding."""
    assert plan.inputs == reference.inputs
    for one, two in zip(reference.outputs, plan.outputs, strict=True):
        assert (two.name, two.dtype, two.sources) == (one.name, one.dtype, one.sources)
        same_chain(reference, one.chain, plan, two.chain)


def same_chain(reference: Plan, one: Chain, plan: Plan, two: Chain) -> None:
    for source, twin in zip(one.sources, two.sources, strict=True):
        if isinstance(source, Chain) and isinstance(twin, Chain):
            same_chain(reference, source, plan, twin)
        else:
            assert twin == source
    for step, twin in zip(one.steps, two.steps, strict=True):
        assert type(twin) is type(step)
        if isinstance(step, Categorify) and isinstance(twin, Categorify):
            files = (reference.folder / step.vocabulary, plan.folder / twin.vocabulary)
            values = [pq.read_table(file).to_pydict() for file in files]
            assert values[1] == values[0]
            assert twin.cardinality == step.cardinality
        elif isinstance(step, KeyedValue) and isinstance(twin, KeyedValue):
            files = (reference.folder / step.table, plan.folder / twin.table)
            same_values(*(pq.read_table(file) for file in files), number(step.default))
            close(number(step.default), number(twin.default), "default")
            close(number(step.null), number(twin.null), "null")
        else:
            for field in fields(step):
                close_or_equal(getattr(step, field.name), getattr(twin, field.name))


def same_values(one: pa.Table, two: pa.Table, default: float) -> None:
    """The same numbers by the same keys, in any order; a key may be left out for the default."""
    rows = []
    for table in (one, two):
        columns = table.to_pydict()
        values = columns.pop(VALUE)
        rows.append(dict(zip(zip(*columns.values(), strict=True), values, strict=True)))
    for key in rows[0].keys() | rows[1].keys():
        close(rows[0].get(key, default), rows[1].get(key, default), str(key))


def number(value: float | None) -> float:
    return math.nan if value is None else value


def close_or_equal(one: Any, two: Any) -> None:
    if isinstance(one, float):
        close(one, two, "step")
    else:
        assert two == one


def read(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(file) for file in sorted(folder.iterdir())])


def write_splits(folder: Path, train: pa.Table, test: pa.Table) -> dict[str, Path]:
    """The training split in two files, so that statistics are put together from parts."""
    half = len(train) // 2
    parts = {"train": [train.slice(0, half), train.slice(half)], "test": [test]}
    for split, tables in parts.items():
        (folder / split).mkdir(parents=True)
        for number, table in enumerate(tables):
            pq.write_table(table, folder / split / f"part-{number:05d}.parquet")
    return {split: folder / split for split in parts}


def nobody(rows: int) -> None:
    """Progress that nobody wants to see."""


def test_a_plan_works_from_any_folder(tmp_path: Path) -> None:
    kinds: dict[str, Any] = {"i": "integer", "s": "string", "x": "continuous"}
    columns = {
        "i": pa.array([2**63 - 1, 2**63 - 2, None, NULL_INT64], pa.int64()),
        "s": ["漢字", "", None, "b"],
        "x": pa.array([1, None, float("nan"), 4], pa.float32()),
        "click": pa.array([0, 1, 0, 1], pa.int8()),
    }
    table = pa.table(columns)
    splits = write_splits(tmp_path / "raw", table, table)
    graph = build(CRITEO, kinds, len(table))
    NVTabularEngine("cpu", None).fit_transform(
        graph.workflow, kinds, splits, tmp_path / "out", nobody
    )
    before = read_plan(tmp_path / "out/plan")
    shutil.move(tmp_path / "out/plan", tmp_path / "elsewhere")
    plan = read_plan(tmp_path / "elsewhere")
    assert plan.content_hash == before.content_hash
    executor = OnlineExecutor(plan)
    encoded = executor.transform(to_tensors(table, executor.columns))
    # Ties by value: 2⁶³-2 before 2⁶³-1, and "b" before "漢字"; the wire's null marks are null.
    assert encoded.ids_BF.tolist() == [[4, 4], [3, 1], [1, 1], [1, 3]]
    same(read(tmp_path / "out/test"), online(plan, table))


def test_a_string_with_u0000_is_a_value_of_its_own(tmp_path: Path) -> None:
    """Where pandas is at fault: it takes "a\\0b" for "a". Polars and the online executor do not."""
    kinds: dict[str, Any] = {"s": "string"}
    words = ["a\0b", "a", "a", "a\0c"]
    table = pa.table({"s": words, "click": pa.array([0, 1, 0, 1], pa.int8())})
    splits = write_splits(tmp_path / "raw", table, table)
    engine = NativeEngine(build(CRITEO, kinds, len(table)).plan)
    engine.fit_transform(TypedParquet(splits, kinds), tmp_path / "out", nobody)
    plan = read_plan(tmp_path / "out/plan")
    assert plan.vocabulary(plan.categorical[0]).value.to_pylist() == ["a", "a\0b", "a\0c"]
    same(read(tmp_path / "out/test"), online(plan, table))
