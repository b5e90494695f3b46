"""ColumnSimilarity in every engine, online, and beside NVTabular's own operator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import sparse

from plumbline.base.errors import DataError, PlanError
from plumbline.columns.kinds import FeatureKind
from plumbline.columns.typed import TypedParquet, typed_schema
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.engine.native_engine import NativeEngine
from plumbline.features.plan.plan import read_plan
from plumbline.nvtabular.compile import compile_unfitted
from plumbline.nvtabular.engine import NVTabularEngine
from plumbline.nvtabular.errors import UnsupportedOperator
from plumbline.nvtabular.library import ColumnSelector, Workflow, ops
from plumbline.nvtabular.operators.column_similarity import feature_matrices
from tests.contract.tables import assert_same, no_progress, online, read, write_splits

KINDS: dict[str, FeatureKind] = {"user": "integer", "item": "integer", "name": "string"}
RANDOM = np.random.default_rng(5)
USERS = sparse.random(20, 8, 0.4, "coo", random_state=RANDOM)
ITEMS = sparse.random(30, 9, 0.4, "csr", random_state=RANDOM)
IDS = [[*RANDOM.integers(0, rows, 40).tolist(), None, 0, -1, 0, rows, 0] for rows in (20, 30)]
IDS[1][40:] = [0, None, 0, -1, 0, 30]
PRESENT = np.arange(46) < 40
ROWS = pa.table(
    [pa.array(IDS[0]), pa.array(IDS[1]), pa.array(["a"] * 46), pa.array([0, 1] * 23, pa.int8())],
    schema=typed_schema(KINDS),
)


def graph(*matrices: Any, metric: str = "tfidf", columns: Any = ("user", "item")) -> Workflow:
    operator = ops.ColumnSimilarity(*matrices, metric=metric, on_device=False)
    return Workflow([list(columns)] >> operator)


@pytest.mark.parametrize("metric", ["tfidf", "cosine", "inner"])
@pytest.mark.parametrize("matrices", [(ITEMS,), (USERS, ITEMS)], ids=["one", "two"])
def test_every_executor_gives_what_nvtabular_gives(
    matrices: Any, metric: str, tmp_path: Path
) -> None:
    workflow = graph(*matrices, metric=metric)
    splits = write_splits(tmp_path / "raw", ROWS, ROWS)
    engine = NativeEngine(compile_unfitted(workflow, KINDS))
    engine.fit_transform(TypedParquet(splits, KINDS), tmp_path / "native", no_progress)
    NVTabularEngine("cpu", None).fit_transform(
        workflow, KINDS, splits, tmp_path / "nvtabular", no_progress
    )
    plan = read_plan(tmp_path / "native/plan")
    assert read_plan(tmp_path / "nvtabular/plan").content_hash == plan.content_hash
    rows = read(tmp_path / "native/test")
    assert_same(rows, read(tmp_path / "nvtabular/test"))
    assert_same(rows, online(plan, ROWS))
    got = rows["user_item_sim"].to_numpy()
    frame = pd.DataFrame({"user": IDS[0][:40], "item": IDS[1][:40]})
    unpatched = ops.ColumnSimilarity(*matrices, metric=metric, on_device=False)
    wanted = unpatched.transform(ColumnSelector([["user", "item"]]), frame)["user_item_sim"]
    np.testing.assert_allclose(got[PRESENT], wanted, rtol=1e-6, atol=1e-12)
    is_row = [*[True] * 40, False, False, False, False, len(matrices) == 1, False]
    np.testing.assert_array_equal(~np.isnan(got), is_row)
    assert len(list((tmp_path / "native/plan/column_similarity").iterdir())) == len(matrices)
    # NVTabular's operator has weighted its matrices now. They are not weighted again.
    again = feature_matrices(unpatched)
    new = feature_matrices(ops.ColumnSimilarity(*matrices, metric=metric))
    for one, two in zip(again, new, strict=True):
        np.testing.assert_allclose(one.value, two.value)


def test_entries_and_rows_of_zero() -> None:
    twice = sparse.coo_matrix(([1.0, 2.0, 0.0, 4.0], ([0, 0, 1, 1], [0, 0, 0, 1])))
    whole = sparse.coo_matrix(np.array([[3.0, 0.0], [0.0, 4.0]]))
    for metric in ("tfidf", "cosine", "inner"):
        one, two = (compile_unfitted(graph(m, metric=metric), KINDS) for m in (twice, whole))
        assert one == two
    everywhere = feature_matrices(ops.ColumnSimilarity(np.ones((3, 1))))[0]
    assert everywhere.rows == 3 and not len(everywhere.value)


def test_a_changed_matrix_is_another_plan(tmp_path: Path) -> None:
    one, two = (compile_unfitted(graph(m, metric="inner"), KINDS) for m in (USERS, USERS * 2.0))
    assert one != two
    splits = write_splits(tmp_path / "raw", ROWS, ROWS)
    engine = NativeEngine(compile_unfitted(graph(USERS), KINDS))
    engine.fit_transform(TypedParquet(splits, KINDS), tmp_path / "out", no_progress)
    (file,) = (tmp_path / "out/plan/column_similarity").iterdir()
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(PlanError, match="column_similarity/user_item_sim left"):
        OnlineExecutor(read_plan(tmp_path / "out/plan"))


def test_what_is_refused() -> None:
    with pytest.raises(UnsupportedOperator, match=r"on text.*kind integer"):
        compile_unfitted(graph(USERS, columns=("user", "name")), KINDS)
    with pytest.raises(UnsupportedOperator, match="one of tfidf, cosine, inner"):
        compile_unfitted(graph(USERS, metric="dot"), KINDS)
    with pytest.raises(DataError, match="infinite number in row 0"):
        compile_unfitted(graph(np.array([[np.inf]])), KINDS)
