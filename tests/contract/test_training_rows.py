"""Filter and Dropna: every engine leaves out the same training rows, and no other row."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from plumbline.base.errors import DataError
from plumbline.columns.rows import Rows
from plumbline.columns.typed import TypedParquet, typed_schema
from plumbline.expressions import Where
from plumbline.features.engine.native_engine import NativeEngine
from plumbline.features.fitting.conditions import Conditions
from plumbline.features.operators.compare import Compare
from plumbline.features.operators.is_missing import IsMissing
from plumbline.features.plan.plan import read_plan
from plumbline.features.plan.unfitted import unfitted_json
from plumbline.features.steps.chains import Chain
from plumbline.nvtabular.compile import compile_unfitted
from plumbline.nvtabular.engine import NVTabularEngine
from plumbline.nvtabular.library import Dataset, Serial, Workflow, ops
from plumbline.nvtabular.quiet import quiet
from tests.contract.tables import assert_same, no_progress, online, read, write_splits

KINDS: dict[str, Any] = {
    "x": "continuous",
    "y": "continuous",
    "s": "string",
    "i": "integer",
    "seen": "time",
}
PRESENT = Compare("==", 0.0)


def graph() -> Any:
    """Statistics of the rows with a price and a word, since 1970-01-01 00:00:02."""
    kept = ["x", "s", "seen", "i"] >> ops.Filter(Where("seen", ">=", "1970-01-01T00:00:02"))
    kept = kept >> ops.Filter(Where("x", "<", 100))
    words = kept["s"] >> ops.Dropna() >> ops.Categorify()
    numbers = kept["x"] >> ops.Normalize()
    counts = kept["i"] >> ops.JoinGroupby(stats=["count"])
    rates = kept["i"] >> ops.TargetEncoding("click", kfold=1, p_smooth=1)
    return words + numbers + counts + rates + "y" + "click"


def rows(number: int) -> pa.Table:
    """Of ten rows, the first two are too early, one price is high and one missing, one word is."""
    table = {
        "x": [1.0, 2.0, 300.0, None, 5.0, 6.0, 7.0, 8.0, 9.0, 11.0],
        "y": [float(n) for n in range(10)],
        "s": ["a", "b", "c", "d", None, "a", "b", "a", "b", "a"],
        "i": [1, 1, 2, 2, 3, 3, 4, 4, 4, None],
        "seen": [second * 1_000_000 for second in range(10)],
        "click": [0, 1] * 5,
    }
    once = pa.table(table, schema=typed_schema(KINDS))
    return pa.concat_tables([once] * number).combine_chunks()


def conditions(graph: Any) -> tuple[Chain, ...]:
    return compile_unfitted(Workflow(graph), KINDS).conditions


@pytest.mark.timeout(120)
def test_both_engines_leave_out_the_same_training_rows(tmp_path: Path) -> None:
    train, test = rows(4), rows(1)
    splits = write_splits(tmp_path / "raw", train, test)
    unfitted = compile_unfitted(Workflow(graph()), KINDS)
    results = {
        "native": NativeEngine(unfitted).fit_transform(
            TypedParquet(splits, KINDS), tmp_path / "native", no_progress
        ),
        "nvtabular": NVTabularEngine("cpu", None).fit_transform(
            Workflow(graph()), KINDS, splits, tmp_path / "nvtabular", no_progress
        ),
    }
    alone = NativeEngine(compile_unfitted(Workflow(graph()), KINDS)).fit_transform(
        TypedParquet(write_splits(tmp_path / "kept", *[left(t) for t in (train, test)]), KINDS),
        tmp_path / "alone",
        no_progress,
    )
    for engine, result in results.items():
        assert result.rows == {"train": 20, "test": 10}
        plan = read_plan(tmp_path / engine / "plan")
        assert plan.conditions == unfitted.conditions
        # The columns of a condition alone are not served.
        assert [column.name for column in plan.inputs] == ["x", "y", "s", "i"]
        assert plan.content_hash == result.plan.content_hash
        for split in splits:
            assert_same(read(tmp_path / "native" / split), read(tmp_path / engine / split))
        assert_same(read(tmp_path / engine / "test"), online(plan, test))
        # What is learned is what the rows that are kept teach.
        assert_same(read(tmp_path / "alone/train"), read(tmp_path / engine / "train"))
        assert plan.outputs[1] == alone.plan.outputs[1]


def left(table: pa.Table) -> pa.Table:
    return table.filter(pa.array(([False] * 5 + [True] * 5) * (len(table) // 10)))


def test_the_conditions_stand_in_the_plan(tmp_path: Path) -> None:
    splits = write_splits(tmp_path / "raw", rows(1), rows(1))
    numbers = ["x"] >> ops.Filter(Where("x", ">", 5)) >> ops.LogOp()
    plain = ["x"] >> ops.LogOp()
    for name, node in (("kept", numbers), ("plain", plain)):
        engine = NativeEngine(compile_unfitted(Workflow(node), KINDS))
        engine.fit_transform(TypedParquet(splits, KINDS), tmp_path / name, no_progress)
    content = json.loads((tmp_path / "kept/plan/plan.json").read_text())
    assert content["training_rows"] == [
        {"sources": ["x"], "steps": [{"op": "compare", "relation": ">", "constant": 5.0}]}
    ]
    # A plan without conditions is as it was before there were any.
    assert "training_rows" not in json.loads((tmp_path / "plain/plan/plan.json").read_text())
    assert "conditions" not in unfitted_json(compile_unfitted(Workflow(plain), KINDS))
    assert "conditions" in unfitted_json(compile_unfitted(Workflow(numbers), KINDS))


def test_no_row_left_raises(tmp_path: Path) -> None:
    splits = write_splits(tmp_path / "raw", rows(1), rows(1))
    node = ["x"] >> ops.Filter(Where("x", ">", 1e9)) >> ops.LogOp()
    with pytest.raises(DataError, match="leave out every training row"):
        NativeEngine(compile_unfitted(Workflow(node), KINDS)).fit_transform(
            TypedParquet(splits, KINDS), tmp_path / "native", no_progress
        )
    with pytest.raises(DataError, match="leave out every training row"):
        NVTabularEngine("cpu", None).fit_transform(
            Workflow(node), KINDS, splits, tmp_path / "nvtabular", no_progress
        )


@pytest.mark.parametrize(
    ("graph", "wanted"),
    [
        (lambda: ["x"] >> ops.Dropna(), (Chain(("x",), (IsMissing(), PRESENT)),)),
        # Normalized numbers are missing where the numbers are, and ids never.
        (
            lambda: ["x"] >> ops.Normalize() >> ops.Dropna(),
            (Chain(("x",), (IsMissing(), PRESENT)),),
        ),
        (lambda: ["s"] >> ops.Categorify() >> ops.Dropna(), ()),
        (lambda: ["x"] >> ops.FillMedian() >> ops.Dropna(), ()),
        (lambda: ["s"] >> ops.FillMissing("a") >> ops.Dropna() >> ops.Categorify(), ()),
        (lambda: ["x"] >> ops.Filter(Where("x", "==", 2)), (Chain(("x",), (Compare("==", 2.0),)),)),
        (
            lambda: ["x", "click"] >> ops.Filter(Where("click", ">=", 0)),
            (Chain(("click",), (Compare(">=", 0.0),)),),
        ),
    ],
)
def test_conditions(graph: Any, wanted: tuple[Chain, ...]) -> None:
    assert conditions(graph()) == wanted


def test_a_missing_value_meets_no_condition() -> None:
    columns: dict[str, Any] = {"x": np.array([1.0, np.nan, 3.0], np.float32)}
    kept = Conditions([Chain(("x",), (Compare("!=", 3.0),))])
    assert kept.hold(Rows(columns, np.zeros(3, np.int8))).tolist() == [True, False, False]


def test_nvtabulars_own_filter_takes_a_comparison() -> None:
    frame = pd.DataFrame(
        {"x": [1.0, np.nan, 3.0], "seen": pd.to_datetime(["2020", "2021", "2022"])}
    )
    for where, left in (
        (Where("x", ">", 0), [1.0, 3.0]),
        (Where("seen", "<", datetime(2022, 1, 1)), [1.0, None]),
    ):
        with quiet(), Serial():
            kept = Workflow(["x", "seen"] >> ops.Filter(where)).fit_transform(
                Dataset(frame, cpu=True)
            )
            found = kept.to_ddf().compute()["x"]
        assert [None if np.isnan(x) else x for x in found] == left
