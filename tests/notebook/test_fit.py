"""`plumbline.fit` and `Plan.encode`: one plan and the same values from every type of frame."""

from __future__ import annotations

import gc
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import plumbline
from plumbline.base.errors import DataError, PlanError
from plumbline.columns.kinds import FeatureKind
from plumbline.expressions import DatePart, Where
from plumbline.features.engine.native_engine import NativeEngine
from plumbline.notebook import frames
from plumbline.nvtabular.compile import compile_unfitted
from plumbline.nvtabular.errors import UnsupportedOperator
from plumbline.nvtabular.library import Workflow, ops
from tests.row_sources import TableSource, table_of

ROWS = pa.table(
    {
        "price": [1.0, 2.5, None, 4.0, 2.5, 8.0],
        "user": [7, 8, None, 7, 9, 7],
        "city": ["Oslo", "Rome", "Oslo", None, "Oslo", "Kyiv"],
        "tags": [["a", "b"], [], ["a"], None, ["c"], ["b"]],
        "seen": [datetime(2026, 1, day) for day in range(1, 7)],
        "is_new": [True, False, None, True, True, False],
        "click": [1, 0, 0, 1, 0, 1],
    }
)
KINDS: dict[str, FeatureKind] = {
    "price": "continuous",
    "user": "integer",
    "city": "string",
    "tags": "string_list",
    "seen": "time",
    "is_new": "boolean",
}
FORMS: dict[str, Callable[[pa.Table], Any]] = {
    "pandas": lambda table: table.to_pandas(),
    "polars": pl.from_arrow,
    "arrow": lambda table: table,
    "mapping": lambda table: table.to_pydict(),
    "rows": lambda table: table.to_pylist(),
}


def workflow() -> Workflow:
    price = ["price"] >> ops.FillMedian() >> ops.LogOp() >> ops.Normalize()
    ids = ["user", "city", "tags", "is_new"] >> ops.Categorify()
    rate = ["city"] >> ops.TargetEncoding("click", kfold=2, p_smooth=1)
    day = ["seen"] >> DatePart("day_of_week") >> ops.Categorify() >> ops.Rename(postfix="_day")
    return Workflow(price + ids + rate + day)


def values(encoded: Any) -> pa.Table:
    if isinstance(encoded, pl.DataFrame):
        return encoded.to_arrow()
    return pa.Table.from_pandas(encoded) if isinstance(encoded, pd.DataFrame) else encoded


@pytest.mark.parametrize("form", FORMS)
def test_a_frame_of_any_type_gives_the_plan_of_the_engine(form: str, tmp_path: Path) -> None:
    kinds = {"user": "integer"} if form == "pandas" else None  # pandas: integers with nulls
    plan = plumbline.fit(workflow(), FORMS[form](ROWS), kinds=kinds)
    typed = table_of(
        KINDS,
        ROWS["click"].to_pylist(),
        **{n: ROWS[n].to_pylist() for n in KINDS if n not in ("seen", "is_new")},
        seen=ROWS["seen"].cast(pa.int64()).to_pylist(),
        is_new=ROWS["is_new"].cast(pa.int64()).to_pylist(),
    )
    source = TableSource(KINDS, {"train": typed})
    engine = NativeEngine(compile_unfitted(workflow(), KINDS))
    of_engine = engine.fit_transform(source, tmp_path / "etl", lambda _: None)
    assert plan.content_hash == of_engine.plan.content_hash
    assert plan.inputs == KINDS


@pytest.mark.parametrize("form", FORMS)
def test_a_frame_is_encoded_in_its_own_type(form: str) -> None:
    plan = plumbline.fit(workflow(), ROWS)
    frame = FORMS[form](ROWS)
    encoded = plan.encode(frame)
    assert type(encoded) is (type(frame) if hasattr(frame, "columns") else pa.Table)
    wanted = plan.encode(ROWS)
    assert wanted.column_names == [
        "price",
        "user",
        "city",
        "tags",
        "is_new",
        "TE_city_click",
        "seen_day_of_week_day",
    ]
    assert wanted["user"].to_pylist() == [3, 4, 1, 3, 5, 3]
    got = values(encoded)
    assert all(got[n].to_pylist() == wanted[n].to_pylist() for n in wanted.column_names)


def test_the_index_of_a_pandas_frame_stays() -> None:
    plan = plumbline.fit(["city"] >> ops.Categorify(), ROWS)
    frame = ROWS.to_pandas().set_index(np.arange(100, 106))
    assert list(plan.encode(frame).index) == list(range(100, 106))


def test_unseen_values_nulls_and_no_rows() -> None:
    plan = plumbline.fit(["city"] >> ops.Categorify(), ROWS)
    assert plan.encode({"city": ["Paris", None]})["city"].to_pylist() == [2, 1]
    nothing = plan.encode(ROWS.slice(0, 0))
    assert nothing.num_rows == 0
    assert nothing.schema == plan.encode(ROWS).schema
    assert plan.cardinalities == {"city": 6}


def test_a_frame_longer_than_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = plumbline.fit(workflow(), ROWS)
    wanted = whole.encode(ROWS)
    monkeypatch.setattr(frames, "CHUNK_ROWS", 4)
    in_parts = plumbline.fit(workflow(), ROWS)
    assert in_parts.content_hash == whole.content_hash
    assert in_parts.encode(ROWS).equals(wanted)


def test_the_rows_that_a_graph_leaves_out_teach_nothing() -> None:
    prices = ["price"] >> ops.Filter(Where("price", ">", 2.0)) >> ops.FillMedian()
    kept = ROWS.filter(pa.compute.greater(ROWS["price"], 2.0))
    without_filter = ["price"] >> ops.FillMedian()
    plan, of_kept = plumbline.fit(prices, ROWS), plumbline.fit(without_filter, kept)
    missing = {"price": [None]}
    assert plan.encode(missing).equals(of_kept.encode(missing))
    assert not plan.encode(missing).equals(plumbline.fit(without_filter, ROWS).encode(missing))


def test_labels_of_another_name_and_type() -> None:
    renamed = ROWS.drop_columns(["click"]).append_column(
        "bought", pa.array([True, False, False, True, False, True])
    )
    graph = ["city"] >> ops.TargetEncoding("click", kfold=2)
    plan = plumbline.fit(graph, renamed, click="bought")
    assert plan.content_hash == plumbline.fit(graph, ROWS).content_hash


def test_a_graph_without_clicks_needs_none() -> None:
    plumbline.fit(["city"] >> ops.Categorify(), ROWS.drop_columns(["click"]))


def test_a_temporary_plan_is_removed_with_its_last_reference() -> None:
    plan = plumbline.fit(["city"] >> ops.Categorify(), ROWS)
    folder = plan.folder
    assert (folder / "plan.json").is_file()
    del plan
    gc.collect()
    assert not folder.exists()


def test_a_plan_that_is_kept_can_be_read_again(tmp_path: Path) -> None:
    plan = plumbline.fit(workflow(), ROWS, folder=tmp_path / "plan")
    again = plumbline.Plan(tmp_path / "plan")
    assert again.content_hash == plan.content_hash
    assert again.encode(ROWS).equals(plan.encode(ROWS))


def test_a_folder_with_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(PlanError, match="wanted a new or empty folder"):
        plumbline.fit(["city"] >> ops.Categorify(), ROWS, folder=tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


CITY = ["city"] >> ops.Categorify()


@pytest.mark.parametrize(
    ("graph", "frame", "error", "message"),
    [
        (CITY, ROWS.drop_columns(["city"]), PlanError, "city"),
        (CITY, ROWS.slice(0, 0), DataError, "no rows"),
        (CITY, 7, PlanError, "wanted a mapping"),
        (CITY, {"city": [1.5, "x"]}, PlanError, "mixed"),
        (CITY, {"city": [{"a": 1}]}, PlanError, "wanted integers, numbers, text"),
        (["city"] >> ops.LambdaOp(lambda c: c), ROWS, UnsupportedOperator, "LambdaOp"),
        (["city"] >> ops.TargetEncoding("click"), {"city": ["a"]}, PlanError, "click=NAME"),
        (
            ["city"] >> ops.TargetEncoding("click"),
            {"city": ["a"], "click": [7]},
            DataError,
            "got 7",
        ),
        (
            ["city"] >> ops.TargetEncoding("click"),
            {"city": ["a"], "click": [[1]]},
            DataError,
            "labels cannot be read",
        ),
    ],
)
def test_what_does_not_fit_is_named(
    graph: Any, frame: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        plumbline.fit(graph, frame)
