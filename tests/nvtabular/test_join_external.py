"""JoinExternal in every engine, online, and beside NVTabular's own operator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from plumbline.base.errors import DataError
from plumbline.columns.kinds import FeatureKind
from plumbline.columns.typed import TypedParquet, typed_schema
from plumbline.features.engine.native_engine import NativeEngine
from plumbline.features.plan.plan import read_plan
from plumbline.nvtabular.compile import compile_unfitted
from plumbline.nvtabular.engine import NVTabularEngine
from plumbline.nvtabular.errors import UnsupportedOperator
from plumbline.nvtabular.library import ColumnSelector, Dataset, Workflow, ops
from tests.contract.tables import (
    assert_same,
    native_setting,
    no_progress,
    online,
    read,
    write_splits,
)

KINDS: dict[str, FeatureKind] = {"user": "string", "item": "integer", "x": "continuous"}
USERS = pd.DataFrame(
    {
        "user": ["a", "b", "é", None],
        "age": [1.5, np.nan, 3.0, 9.0],
        "city": ["rome", "paris", None, "nowhere"],
        "segment": pd.array([2**53 + 1, None, 3, 4], "Int64"),
        "is_new": [True, False, True, False],
    }
)
PRICES = pd.DataFrame({"u": ["a", "a", "b"], "i": [1, 2, 1], "price": [0.5, 1.5, 2.5]})
ROWS = pa.table(
    [
        pa.array(["a", "b", "unknown", None, "é", "a"]),
        pa.array([1, 1, 1, None, 2, 2]),
        pa.array([1.0, 2.0, None, 4.0, 5.0, 6.0], pa.float32()),
        pa.array([0, 1, 0, 1, 0, 1], pa.int8()),
    ],
    schema=typed_schema(KINDS),
)


def graph(users: Any = USERS, **parameters: Any) -> Workflow:
    joined = ["user"] >> ops.JoinExternal(users, on="user", **parameters)
    pair = {"on": ["user", "item"], "on_ext": ["u", "i"], "columns_ext": ["u", "i", "price"]}
    prices = ["user", "item"] >> ops.JoinExternal(PRICES, **pair)
    numbers = joined[["age", "is_new"]] >> ops.FillMissing(0.0) >> ops.Normalize()
    ids = joined[["user", "city", "segment"]] >> ops.Categorify()
    return Workflow(numbers + ids + prices["price"])


def encoded(workflow: Workflow, folder: Path) -> tuple[Any, pa.Table]:
    """The plan of the native engine, and its rows; all other executors must agree."""
    splits = write_splits(folder / "raw", ROWS, ROWS)
    engine = NativeEngine(compile_unfitted(workflow, KINDS))
    engine.fit_transform(TypedParquet(splits, KINDS), folder / "native", no_progress)
    NVTabularEngine("cpu", None).fit_transform(
        workflow, KINDS, splits, folder / "nvtabular", no_progress
    )
    plan, other = (read_plan(folder / engine / "plan") for engine in ("native", "nvtabular"))
    assert other.content_hash == plan.content_hash
    rows = read(folder / "native" / "test")
    assert_same(rows, read(folder / "nvtabular" / "test"))
    for native in ("1", "0"):
        with native_setting(native):
            assert_same(rows, online(plan, ROWS))
    return plan, rows


def test_every_executor_joins_alike(tmp_path: Path) -> None:
    plan, rows = encoded(graph(), tmp_path)
    price = rows["price"].to_numpy()
    np.testing.assert_array_equal(price, [0.5, 2.5, np.nan, np.nan, np.nan, 1.5])
    segments = plan.vocabulary(plan.categorical[2]).value.to_pylist()
    assert segments == [2**53 + 1, 3, 4]
    assert rows["segment"].to_pylist() == [3, 1, 1, 5, 4, 3]
    cities = plan.vocabulary(plan.categorical[1]).value.to_pylist()
    assert cities == ["rome", "nowhere", "paris"]
    assert rows["city"].to_pylist() == [3, 5, 1, 4, 1, 3]


def test_the_table_is_one_wherever_it_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "users.parquet"
    users = USERS.assign(segment=[2**53 + 1, 2, 3, 4])  # Merlin reads no null integers of files
    users.to_parquet(file)
    files = Dataset(str(file), engine="parquet", cpu=True)
    tables = (users, users[::-1], pa.Table.from_pandas(users), files)
    hashes = {
        encoded(graph(table), tmp_path / str(number))[0].content_hash
        for number, table in enumerate(tables)
    }
    assert len(hashes) == 1
    before, after = (
        compile_unfitted(graph(users), KINDS) for users in (USERS, USERS.assign(age=2.0))
    )
    assert before != after


def test_rows_are_those_of_nvtabular(tmp_path: Path) -> None:
    """NVTabular's own operator, on pandas."""
    _, rows = encoded(graph(), tmp_path)
    frame = ROWS.to_pandas()
    parameters = {"on": ["user", "item"], "on_ext": ["u", "i"]}
    selector = ColumnSelector(["user", "item"])
    joined = ops.JoinExternal(PRICES, **parameters).transform(
        selector, frame[["user", "item"]].copy()
    )
    np.testing.assert_array_equal(rows["price"].to_numpy(), joined["price"].to_numpy())
    age = ops.JoinExternal(USERS, on="user").transform(
        ColumnSelector(["user"]), frame[["user"]].copy()
    )
    filled = age["age"].fillna(0.0).to_numpy()
    wanted = (filled - filled.mean()) / filled.std(ddof=1)
    np.testing.assert_allclose(rows["age"].to_numpy(), wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"how": "inner"}, "how='left'"),
        ({"columns_ext": ["age", "is_new", "city", "segment"]}, "Keep 'user' in columns_ext"),
        ({"on_ext": "age"}, "Make its values text"),
    ],
)
def test_what_is_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(UnsupportedOperator, match=message):
        compile_unfitted(graph(**parameters), KINDS)


def test_repeated_keys(tmp_path: Path) -> None:
    twice = pd.concat([USERS, USERS.iloc[[1]], USERS.iloc[[1]]])
    message = "got 2 rows with the key of an earlier one, such as user='b'"
    with pytest.raises(DataError, match=message):
        compile_unfitted(graph(twice), KINDS)
    plan = encoded(graph(twice, drop_duplicates_ext=True), tmp_path / "twice")[0]
    assert plan.content_hash == encoded(graph(), tmp_path / "once")[0].content_hash


def test_dates_are_refused() -> None:
    table = USERS.assign(born=pd.Timestamp("2000-01-01"))
    with pytest.raises(DataError, match=r"'born' of the table has values of type timestamp"):
        compile_unfitted(graph(table), KINDS)
