"""Walking a graph, and compiling fitted operators."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from features import steps
from features.errors import DataError, PlanError, UnsupportedOperator
from features.plan import InputColumn
from workflows.categorify import Categorify
from workflows.compile import compile_fitted, read_vocabulary
from workflows.frames import FrameReader
from workflows.library import Dataset, Serial, Workflow, ops
from workflows.quiet import quiet

KINDS: dict[str, Any] = {"x": "continuous", "y": "continuous", "s": "string", "i": "integer"}
TABLE = pa.table(
    {
        "x": pa.array([1.0, None, 3.0, 3.0], pa.float32()),
        "y": pa.array([0.0, 1.0, 2.0, 3.0], pa.float32()),
        "s": ["b", "a", None, "b"],
        "i": pa.array([7, 2**62 + 1, 2**62 + 1, None], pa.int64()),
        "click": pa.array([0, 1, 0, 1], pa.int8()),
    }
)


def fitted(graph: Any) -> Workflow:
    with quiet(), Serial():
        dataset = Dataset(FrameReader(KINDS, "cpu").frame(TABLE), cpu=True)
        return Workflow(graph).fit(dataset)


def categories(folder: Path, **parameters: Any) -> Any:
    return ops.Categorify(out_path=str(folder), **parameters)


def test_a_chain_over_several_columns_subsets_and_renames(tmp_path: Path) -> None:
    numbers = ["x", "y"] >> ops.FillMissing(2.0) >> ops.LogOp()
    normal = numbers["x"] >> ops.Normalize(out_dtype=np.float32) >> ops.Rename(name="x_log")
    graph = normal + (["s"] >> categories(tmp_path)) + ["y", "click"]
    inputs, outputs, vocabularies = compile_fitted(fitted(graph), KINDS)
    assert inputs == tuple(InputColumn(name, KINDS[name]) for name in ("x", "y", "s"))
    assert [(column.name, column.source) for column in outputs] == [
        ("x_log", "x"),
        ("s", "s"),
        ("y", "y"),
    ]
    logs = np.log1p(np.array([1.0, 2.0, 3.0, 3.0]))
    fill, log, normalize = outputs[0].steps
    assert (fill, log) == (steps.FillMissing(2.0), steps.Log())
    assert isinstance(normalize, steps.Normalize)
    np.testing.assert_allclose(
        [normalize.mean, normalize.deviation], [logs.mean(), logs.std(ddof=1)], rtol=1e-6
    )
    assert outputs[2].steps == ()
    vocabulary = vocabularies["s"]
    assert vocabulary.value.to_pylist() == ["b", "a"]
    assert vocabulary.id.to_pylist() == [3, 4]
    assert vocabulary.count.to_pylist() == [2, 1]


def test_one_column_may_be_used_twice(tmp_path: Path) -> None:
    raw = ["y"] >> ops.Rename(postfix="_raw")
    clipped = ["y"] >> ops.Clip(min_value=1, max_value=2)
    _, outputs, _ = compile_fitted(fitted(raw + clipped + ["click"]), KINDS)
    assert {column.name: column.steps for column in outputs} == {
        "y_raw": (),
        "y": (steps.Clip(1.0, 2.0),),
    }
    with pytest.raises(PlanError, match="'y' comes out of 2 branches of the workflow"):
        compile_fitted(fitted(clipped + "y" + "click"), KINDS)


def test_a_vocabulary_in_parts_is_read_in_the_order_of_its_ids(tmp_path: Path) -> None:
    for number in (2, 10):
        frame = pd.DataFrame({"i": [number, number + 1], "i_size": [4, 1]})
        frame.index = pd.RangeIndex(3 if number == 2 else 5, 5 if number == 2 else 7)
        frame.to_parquet(tmp_path / f"part.{number}.parquet")
    vocabulary = read_vocabulary(tmp_path, "i", "integer")
    assert vocabulary.value.to_pylist() == [2, 3, 10, 11]
    assert vocabulary.id.to_pylist() == [3, 4, 5, 6]
    with pytest.raises(
        PlanError, match="Column 'i': the feature plan wants a vocabulary of string"
    ):
        read_vocabulary(tmp_path, "i", "string")
    (tmp_path / "part.2.parquet").unlink()
    with pytest.raises(PlanError, match="wanted ids from 3 on without a gap"):
        read_vocabulary(tmp_path, "i", "integer")


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (lambda _: ["x"] >> ops.Bucketize([1.0]), "Column 'x' uses Bucketize, which has no compi"),
        (lambda _: ["x"] >> ops.LambdaOp(abs), "Column 'x' uses UDF"),
        (lambda _: ["x"] >> ops.FillMedian(), "uses FillMedian"),
        (lambda f: ["s"] >> categories(f, num_buckets=4), r"'s' uses Categorify\(num_buckets=4\)"),
        (lambda f: ["s"] >> categories(f, max_size=9), r"'s' uses Categorify\(max_size=9\)"),
        (lambda f: ["s"] >> categories(f, single_table=True), r"Categorify\(single_table=True\)"),
        (lambda f: ["s"] >> categories(f, dtype=np.int16), r"Categorify\(dtype='int16'\)"),
        (lambda _: ["x"] >> ops.Normalize(), r"Normalize\(out_dtype='float64'\)"),
        (lambda _: ["i"] >> ops.FillMissing(0), "'i' uses a column of kind integer as a number by"),
        (lambda _: ["s"], "'s' uses a column of kind string as a number"),
        (lambda f: ["x"] >> categories(f), "'x' uses Categorify on a continuous column"),
        (
            lambda f: ["i"] >> ops.FillMissing(0) >> categories(f),
            r"'i' uses Categorify together with others \(FillMissing, Categorify\)",
        ),
        (lambda f: [["s", "i"]] >> categories(f, encode_type="combo"), "encode_type='combo'"),
    ],
)
def test_what_has_no_compiled_form_raises(
    graph: Callable[[Path], Any], message: str, tmp_path: Path
) -> None:
    workflow = fitted((graph(tmp_path) >> ops.AddMetadata()) + ["click"])
    with pytest.raises(UnsupportedOperator, match=message):
        compile_fitted(workflow, KINDS)


def test_binary_columns_of_fill_missing_raise() -> None:
    workflow = fitted((["x"] >> ops.FillMissing(0, add_binary_cols=True)) + ["click"])
    with pytest.raises(UnsupportedOperator, match=r"'x' uses FillMissing\(add_binary_cols=True\)"):
        compile_fitted(workflow, KINDS)


def test_a_workflow_that_is_not_fitted_raises() -> None:
    with pytest.raises(PlanError, match="not fitted"):
        compile_fitted(Workflow(["x"] >> ops.FillMissing(0)), KINDS)


def test_the_click_passes_through_unchanged() -> None:
    with pytest.raises(PlanError, match="'click' is made of 'click': wanted a feature column"):
        compile_fitted(fitted(["click", "x"] >> ops.FillMissing(0)), KINDS)


def test_a_column_that_is_no_feature_raises() -> None:
    with pytest.raises(PlanError, match="'y' is made of 'y': wanted a feature column, one of x"):
        compile_fitted(fitted(["y"] >> ops.FillMissing(0)), {"x": "continuous"})


def test_infinite_statistics_raise() -> None:
    operator = ops.Normalize(out_dtype=np.float32)
    workflow = fitted((["x"] >> operator) + ["click"])
    operator.means["x"] = float("inf")
    with pytest.raises(DataError, match="Column 'x': its mean in the training split is inf"):
        compile_fitted(workflow, KINDS)


def test_ties_are_in_order_of_value(tmp_path: Path) -> None:
    values = np.random.default_rng(0).permutation(np.arange(-500, 500))
    table = pa.table({"s": [f"v{value}é" for value in values], "i": pa.array(values, pa.int64())})
    frame = FrameReader({"s": "string", "i": "integer"}, "cpu").frame(table)
    with quiet(), Serial():
        graph = ["s", "i"] >> Categorify(out_path=str(tmp_path))
        workflow = Workflow(graph).fit(Dataset(frame, cpu=True))
        ids = workflow.transform(Dataset(frame, cpu=True)).to_ddf().compute()
    _, _, vocabularies = compile_fitted(workflow, KINDS)
    assert vocabularies["i"].value.to_pylist() == sorted(values)
    assert vocabularies["s"].value.to_pylist() == sorted(f"v{value}é" for value in values)
    assert (ids["i"].to_numpy() == values + 503).all()
