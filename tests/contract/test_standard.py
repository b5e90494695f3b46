"""The standard graph with default options: any numbers, both engines, any partition of the rows."""

from __future__ import annotations

import math
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from plumbline.columns.typed import TypedParquet, typed_schema
from plumbline.features.engine.native_engine import NativeEngine
from plumbline.features.plan.plan import Plan, read_plan
from plumbline.features.statistics import histogram
from plumbline.nvtabular.engine import NVTabularEngine
from plumbline.nvtabular.graphs import build
from plumbline.settings import WorkflowSettings
from tests.contract.tables import assert_same, native_setting, no_progress, online, read

KINDS: dict[str, Any] = {
    "age": "continuous",
    "amount": "continuous",
    "milliseconds": "continuous",
    "constant": "continuous",
    "nothing": "continuous",
    "user": "integer",
}
NUMBER = st.floats(width=32, allow_infinity=False) | st.none() | st.sampled_from([0.0, -0.0, 1e30])


def table(columns: dict[str, list[Any]]) -> pa.Table:
    rows = len(columns["amount"])
    filled = {
        "constant": [7.0] * rows,
        "nothing": [None] * rows,
        "user": list(range(rows)),
        "click": [n % 2 for n in range(rows)],
    }
    schema = typed_schema(KINDS)
    arrays = [
        pa.array(np.array((columns | filled)[field.name], np.float32), from_pandas=True)
        if field.type == pa.float32()
        else pa.array((columns | filled)[field.name], field.type)
        for field in schema
    ]
    return pa.table(arrays, schema=schema)


def encoded(
    engine: str, rows: pa.Table, cuts: list[int], folder: Path, kinds: dict[str, Any] = KINDS
) -> Plan:
    """Write the rows as files, cut at `cuts`, and run an engine on them. Returns its plan."""
    ends = [0, *cuts, len(rows)]
    raw = folder / "raw" / "train"
    raw.mkdir(parents=True)
    for number, (start, end) in enumerate(pairwise(ends)):
        part = rows.slice(start, end - start)
        pq.write_table(
            part, raw / f"part-{number:05d}.parquet", row_group_size=max(5, len(rows) // 9)
        )
    graph = build(WorkflowSettings(graph="standard"), kinds, 5_000)
    if engine == "nvtabular":
        result = NVTabularEngine("cpu", None).fit_transform(
            graph.workflow, kinds, {"train": raw}, folder, no_progress
        )
    else:
        source = TypedParquet({"train": raw}, kinds)
        result = NativeEngine(graph.plan).fit_transform(source, folder, no_progress)
    return result.plan


@pytest.mark.parametrize("bins", [4, 2**15])
@settings(
    max_examples=5,
    derandomize=True,
    phases=[Phase.generate],  # shrinking would take minutes
)
@given(
    st.lists(st.tuples(NUMBER, NUMBER, NUMBER), min_size=1, max_size=30),
    st.lists(st.integers(0, 30), max_size=3),
)
@pytest.mark.timeout(600)
def test_the_plan_is_the_same_to_the_bit(
    bins: int, numbers: list[tuple[Any, Any, Any]], cuts: list[int]
) -> None:
    names = ("age", "amount", "milliseconds")
    columns = {name: [row[index] for row in numbers] for index, name in enumerate(names)}
    rows = table(columns)
    within = sorted(min(cut, len(rows)) for cut in cuts)
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as name:
        patch.setattr(histogram, "MAX_BINS", bins)
        reference = encoded("nvtabular", rows, within, Path(name) / "nvtabular")
        for number, cut in enumerate(([], within)):
            folder = Path(name) / f"native{number}"
            plan = encoded("native", rows, cut, folder)
            assert plan.content_hash == reference.content_hash
            assert_same(read(Path(name) / "nvtabular" / "train"), read(folder / "train"))
        for native in ("0", "1"):
            with native_setting(native):
                assert_same(read(folder / "train"), online(read_plan(folder / "plan"), rows))


def test_numbers_of_any_scale_are_scaled_to_about_one(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    rows = 8_000
    age = np.where(random.random(rows) < 0.2, np.nan, random.integers(18, 90, rows))
    columns = {
        "age": age,
        "amount": np.exp(8 * random.standard_normal(rows)),
        "milliseconds": 1.6e12 + 3e10 * random.random(rows),
    }
    raw = table({name: list(values) for name, values in columns.items()})
    plan = encoded("native", raw, [], tmp_path)
    train = read(tmp_path / "train")
    for name in columns:
        scores = train[name].to_numpy()
        assert np.all(np.isfinite(scores))
        assert abs(scores.mean()) < 0.1
        assert 0.8 < scores.std() < 1.2
        assert np.abs(scores).max() < 5
    for name in ("constant", "nothing"):
        assert set(train[name].to_pylist()) == {0.0}
    ids = {column.name: column.cardinality for column in plan.categorical}
    assert ids["amount_bucket"] == ids["milliseconds_bucket"] == 17  # 500 rows each
    assert 9 < ids["age_bucket"] <= 13  # a fifth is missing
    assert (ids["constant_bucket"], ids["nothing_bucket"]) == (2, 2)
    missing = np.isnan(raw["age"].to_numpy())
    last = ids["age_bucket"] - 1
    assert set(train["age_bucket"].to_numpy()[missing]) == {last}
    assert last not in train["age_bucket"].to_numpy()[~missing]
    assert set(train["nothing_bucket"].to_pylist()) == {1}
    odd = table({"age": [math.nan, -1e38], "amount": [-5.0, 3e38], "milliseconds": [0.0, None]})
    scored = online(plan, odd)
    assert np.all(np.abs([scored[name].to_numpy() for name in columns]) < 5)
    assert scored["age_bucket"].to_pylist() == [last, 0]
    assert scored["amount_bucket"].to_pylist() == [0, 15]


@pytest.mark.parametrize("words", [["a", None, "b", "a", "a", "c"], ["a", "b"] * 3, [None] * 6])
def test_both_engines_agree_on_a_single_category(words: list[str | None], tmp_path: Path) -> None:
    kinds: dict[str, Any] = {"s": "string"}
    rows = pa.table([pa.array(words), [0, 1] * 3], schema=typed_schema(kinds))
    plans = {
        name: encoded(name, rows, [], tmp_path / name, kinds) for name in ("nvtabular", "native")
    }
    assert plans["nvtabular"].content_hash == plans["native"].content_hash
    train = read(tmp_path / "native" / "train")
    assert_same(read(tmp_path / "nvtabular" / "train"), train)
    assert np.isfinite(train["s_count"].to_numpy()).all()
    assert_same(train, online(plans["native"], rows))
