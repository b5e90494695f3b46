"""The contract of the engines: both engines and the online executor encode rows alike.

A random workflow of all operators that can be compiled (`graphs`) is fitted and run by the
NVTabular engine on pandas, with patched operators, and by the native engine. The online executor
runs both plans, in native code and in NumPy. The plans are the same, to the bit. Ids are identical;
numbers differ by one unit in the last place of float32 at most.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from plumbline.base.errors import DataError
from plumbline.columns.typed import TypedParquet, typed_schema
from plumbline.columns.wire import NULL_INT64, to_tensors
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.engine.native_engine import NativeEngine
from plumbline.features.plan.plan import read_plan
from plumbline.nvtabular.compile import compile_unfitted
from plumbline.nvtabular.engine import NVTabularEngine
from plumbline.nvtabular.graphs import build
from plumbline.settings import WorkflowSettings
from tests.contract.given_graphs import has_conditions, workflows_with_tables
from tests.contract.graphs import Graph
from tests.contract.tables import (
    assert_same,
    native_setting,
    no_progress,
    online,
    read,
    write_splits,
)

CRITEO = WorkflowSettings(graph="criteo", options={"frequency_threshold": 0})

EDGES = [2**63 - 1, 2**63 - 2, -(2**63) + 1, NULL_INT64, 2**53, 2**53 + 1, -1, 0]
WORDS = ["", " ", "a", "é", "e\u0301", "漢字", "😀", "null", "NaN", "0"]
# Without U+0000, at which pandas truncates strings (see the last test).
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=2)

# Training numbers are of ordinary size, because statistics are computed from them.
TRAINED = st.none() | st.just(math.nan) | st.integers(-80, 80).map(lambda n: n / 8)
INTEGERS = st.none() | st.sampled_from(EDGES) | st.integers(-3, 3)
HEXES = st.none() | st.sampled_from([2**63 - 1, 2**32, 0]) | st.integers(0, 5)
STRINGS = st.none() | st.sampled_from(WORDS) | TEXT
TIMES = (
    st.none()
    | st.sampled_from([0, -1, 2**62, -(2**62), 253_402_300_799_999_999])
    | st.integers(1_577_836_800_000_000, 1_735_689_599_999_999)
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "continuous": st.none() | st.floats(width=32),
    "integer": INTEGERS,
    "hex": HEXES,
    "string": STRINGS,
    "integer_list": st.none() | st.lists(INTEGERS, max_size=3),
    "hex_list": st.none() | st.lists(HEXES, max_size=3),
    "string_list": st.none() | st.lists(STRINGS, max_size=3),
    "time": TIMES,
}

# Prefixes and suffixes of column names: patterns of Polars, paths of Arrow and of files, length.
AFFIXES = [("", ""), ("", ""), ("^", "$"), ("*", ""), ("[", "]"), ("..", ""), ("n" * 200, ""),
          ("a/b\n", " "), ("é" * 100, "")]  # fmt: skip


@st.composite
def column_kinds(draw: st.DrawFn) -> dict[str, Any]:
    counts = {kind: draw(st.integers(0, 2)) for kind in VALUES}
    prefix, suffix = draw(st.sampled_from(AFFIXES))
    kinds = {
        f"{prefix}{kind}{n}{suffix}": kind for kind, count in counts.items() for n in range(count)
    }
    return kinds if {*kinds.values()} - {"time"} else {**kinds, "x": "continuous"}


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, Any], Graph, pa.Table, pa.Table]:
    """Kinds, a workflow, a training split, and a test split with other values."""
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
    return kinds, draw(workflows_with_tables(kinds)), train, test


@settings(
    max_examples=25,
    derandomize=True,
    phases=[Phase.generate],  # cases are small already, and shrinking would take minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(case=cases())
@pytest.mark.timeout(600)
def test_engines_and_online_executor_agree(
    case: tuple[dict[str, Any], Graph, pa.Table, pa.Table],
) -> None:
    kinds, graph, train, test = case
    assume(compile_unfitted(graph.build(), kinds).outputs)  # not if all inputs are removed
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        splits = write_splits(folder / "raw", train, test)
        failures = {}
        for engine, run in (("nvtabular", nvtabular), ("native", native_engine)):
            try:
                run(graph, kinds, splits, folder / engine)
            except DataError as error:
                failures[engine] = error
        if failures:  # a column has no training number for a statistic
            assert failures.keys() == {"nvtabular", "native"}, failures
            return
        plans = [read_plan(folder / engine / "plan") for engine in ("nvtabular", "native")]
        contents = [json.loads((plan.folder / "plan.json").read_text()) for plan in plans]
        assert contents[1] == contents[0]  # their files too: a step has their hashes
        for split, raw in splits.items():
            rows = read(raw)
            encoded = read(folder / "nvtabular" / split)
            assert_same(encoded, read(folder / "native" / split))
            if split == "train" and has_conditions(graph.branches):
                continue  # rows are left out
            for plan in plans:
                for native in ("1", "0"):
                    with native_setting(native):
                        assert_same(encoded, online(plan, rows))


def nvtabular(graph: Graph, kinds: dict[str, Any], splits: dict[str, Path], out: Path) -> None:
    NVTabularEngine("cpu", None).fit_transform(graph.build(), kinds, splits, out, no_progress)


def native_engine(graph: Graph, kinds: dict[str, Any], splits: dict[str, Path], out: Path) -> None:
    engine = NativeEngine(compile_unfitted(graph.build(), kinds))
    engine.fit_transform(TypedParquet(splits, kinds), out, no_progress)


def test_a_plan_can_be_moved(tmp_path: Path) -> None:
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
        graph.workflow, kinds, splits, tmp_path / "out", no_progress
    )
    before = read_plan(tmp_path / "out/plan")
    shutil.move(tmp_path / "out/plan", tmp_path / "elsewhere")
    plan = read_plan(tmp_path / "elsewhere")
    assert plan.content_hash == before.content_hash
    executor = OnlineExecutor(plan)
    encoded = executor.transform(to_tensors(table, executor.columns))
    # Ties are in order of value: 2⁶³-2 before 2⁶³-1, "b" before "漢字". Null marks are null.
    assert encoded.ids_BF.tolist() == [[4, 4], [3, 1], [1, 1], [1, 3]]
    assert_same(read(tmp_path / "out/test"), online(plan, table))


def test_a_string_with_u0000_is_a_value_of_its_own(tmp_path: Path) -> None:
    """pandas reads "a\\0b" as "a"; the native engine and the online executor do not."""
    kinds: dict[str, Any] = {"s": "string"}
    words = ["a\0b", "a", "a", "a\0c"]
    table = pa.table({"s": words, "click": pa.array([0, 1, 0, 1], pa.int8())})
    splits = write_splits(tmp_path / "raw", table, table)
    engine = NativeEngine(build(CRITEO, kinds, len(table)).plan)
    engine.fit_transform(TypedParquet(splits, kinds), tmp_path / "out", no_progress)
    plan = read_plan(tmp_path / "out/plan")
    assert plan.vocabulary(plan.categorical[0]).value.to_pylist() == ["a", "a\0b", "a\0c"]
    assert_same(read(tmp_path / "out/test"), online(plan, table))
