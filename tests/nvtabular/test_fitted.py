"""Compiling workflows that were fitted by NVTabular's own operators or by patched ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plumbline.base.errors import DataError, PlanError
from plumbline.columns.values import Text
from plumbline.features.lookup.tables import Tables
from plumbline.features.operators.bucketize import Bucketize
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.operators.log import Log
from plumbline.features.operators.normalize_min_max import NormalizeMinMax
from plumbline.features.plan.plan import OutputColumn, Plan, read_plan, write_plan
from plumbline.nvtabular.compile import compile_fitted
from plumbline.nvtabular.frames import FrameReader
from plumbline.nvtabular.library import Dataset, Serial, Workflow, ops
from plumbline.nvtabular.operators.quantile_bucketize import QuantileBucketize
from plumbline.nvtabular.operators.quantile_transform import QuantileTransform
from plumbline.nvtabular.patched import patched, set_folder
from plumbline.nvtabular.patching.tables import read_vocabulary
from plumbline.nvtabular.quiet import quiet

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


def fitted(graph: Any, folder: Path, table: pa.Table = TABLE, is_patched: bool = True) -> Workflow:
    with quiet(), Serial():
        workflow = patched(Workflow(graph), folder) if is_patched else Workflow(graph)
        return workflow.fit(Dataset(FrameReader(KINDS, "cpu").frame(table), cpu=True))


def compiled(graph: Any, folder: Path, is_patched: bool = True) -> dict[str, OutputColumn]:
    workflow = fitted(graph, folder / "learned", is_patched=is_patched)
    inputs, outputs = compile_fitted(workflow, KINDS, folder / "plan")
    write_plan(folder / "plan", inputs, outputs)
    return {column.name: column for column in read_plan(folder / "plan").outputs}


@pytest.mark.parametrize("is_patched", [False, True])
def test_statistics_of_numbers(is_patched: bool, tmp_path: Path) -> None:
    graph = (
        (["x"] >> ops.FillMissing(2.0) >> ops.LogOp() >> ops.Normalize() >> ops.Rename(name="n"))
        + (["x"] >> ops.FillMedian() >> ops.Rename(name="m"))
        + (["y"] >> ops.NormalizeMinMax())
    )
    outputs = compiled(graph, tmp_path, is_patched)
    logs = np.log1p(np.array([1.0, 2.0, 3.0, 3.0]))
    fill, log, normalize = outputs["n"].chain.steps
    assert (fill, log) == (FillMissing(2.0), Log())
    found = [normalize.mean, normalize.deviation]
    np.testing.assert_allclose(found, [logs.mean(), logs.std(ddof=1)], rtol=1e-6)
    assert outputs["m"].chain.steps == (FillMissing(3.0),)
    assert outputs["y"].chain.steps == (NormalizeMinMax(0.0, 3.0),)


@pytest.mark.parametrize("is_patched", [False, True])
def test_quantiles(is_patched: bool, tmp_path: Path) -> None:
    buckets = ["x", "i"] >> QuantileBucketize(2) >> ops.Rename(postfix="_bucket")
    outputs = compiled((["y"] >> QuantileTransform(3)) + buckets, tmp_path, is_patched)
    beyond = np.finfo(np.float64).max
    assert outputs["x_bucket"].chain.steps == (Bucketize((3.0, beyond)),)
    assert outputs["i_bucket"].chain.steps == (Bucketize((2.0**62, beyond)),)
    (line,) = outputs["y"].chain.steps
    assert line.points == (0.0, 2.0, 3.0)
    np.testing.assert_allclose(line.heights, [-1.15035, 0.31864, 1.15035], atol=1e-5)


def test_quantiles_that_were_not_learned_raise(tmp_path: Path) -> None:
    workflow = fitted(["y"] >> QuantileTransform(), tmp_path)
    workflow.output_node.op.clear()
    with pytest.raises(PlanError, match="Column 'y': QuantileTransform is not fitted"):
        compile_fitted(workflow, KINDS, tmp_path / "plan")


@pytest.mark.parametrize("is_patched", [False, True])
def test_vocabularies(is_patched: bool, tmp_path: Path) -> None:
    folder = str(tmp_path / "learned")
    parameters = {"freq_threshold": 2, "num_buckets": 2, "out_path": folder}
    outputs = compiled(["s", "i"] >> ops.Categorify(**parameters), tmp_path, is_patched)
    (step,) = outputs["i"].chain.steps
    assert (step.frequency_threshold, step.num_buckets, step.cardinality) == (2, 2, 5)
    table = pq.read_table(tmp_path / "plan" / step.vocabulary)
    assert table.to_pydict() == {"value": [2**62 + 1], "id": [4], "count": [2]}
    (of_text,) = outputs["s"].chain.steps
    assert pq.read_table(tmp_path / "plan" / of_text.vocabulary)["value"].to_pylist() == ["b"]


@pytest.mark.parametrize("is_patched", [False, True])
def test_a_shared_vocabulary_is_one_file(is_patched: bool, tmp_path: Path) -> None:
    kinds = {"a": "integer", "b": "integer"}
    frame = pd.DataFrame({"a": [1, 1, 2], "b": [3, 2, 2]})
    graph = [["a", "b"]] >> ops.Categorify(out_path=str(tmp_path / "learned"))
    with quiet(), Serial():
        workflow = patched(Workflow(graph)) if is_patched else Workflow(graph)
        workflow.fit(Dataset(frame, cpu=True))
    _, (a, b) = compile_fitted(workflow, kinds, tmp_path / "plan")
    assert a.chain.steps == b.chain.steps
    found = pq.read_table(tmp_path / "plan/vocabulary/a.parquet").to_pydict()
    assert found == {"value": [2, 1, 3], "id": [3, 4, 5], "count": [3, 2, 1]}


@pytest.mark.parametrize("is_patched", [False, True])
def test_combinations_keep_their_missing_parts(is_patched: bool, tmp_path: Path) -> None:
    folder = str(tmp_path / "learned")
    graph = [["s", "i"]] >> ops.Categorify(encode_type="combo", out_path=folder)
    (step,) = compiled(graph, tmp_path, is_patched)["s_i"].chain.steps
    values = pq.read_table(tmp_path / "plan" / step.vocabulary)["value"].to_pylist()
    wanted = [
        {"s": None, "i": 2**62 + 1},
        {"s": "a", "i": 2**62 + 1},
        {"s": "b", "i": None},
        {"s": "b", "i": 7},
    ]
    if is_patched:  # NVTabular orders values with equal counts arbitrarily
        assert values == wanted
    assert sorted(values, key=str) == sorted(wanted, key=str)


@pytest.mark.parametrize("is_patched", [False, True])
def test_statistics_by_key(is_patched: bool, tmp_path: Path) -> None:
    folder = str(tmp_path / "learned")
    graph = (
        ["s"] >> ops.JoinGroupby(cont_cols=["y"], stats=["count", "mean", "max"], out_path=folder)
    ) + (["s"] >> ops.TargetEncoding("click", kfold=1, p_smooth=2, out_path=folder + "/te"))
    if not is_patched:
        (tmp_path / "learned/te").mkdir(parents=True)
    outputs = compiled(graph, tmp_path, is_patched)
    tables = Tables(tmp_path / "plan")
    keys = Text.from_objects([b"a", b"b", b"", b"z"])
    found = {
        name: column.chain.steps[-1].bind(tables)(keys).tolist() for name, column in outputs.items()
    }
    # NVTabular counts no row of a missing key, so it has the statistics of an unknown key.
    assert found["s_count"] == [1.0, 2.0, 1.0 if is_patched else 0.0, 0.0]
    np.testing.assert_array_equal(
        found["s_y_mean"], [1.0, 1.5, 2.0 if is_patched else np.nan, np.nan]
    )
    np.testing.assert_array_equal(
        found["s_y_max"], [1.0, 3.0, 2.0 if is_patched else np.nan, np.nan]
    )
    of_null = 1 / 3 if is_patched else 0.5
    np.testing.assert_allclose(found["TE_s_click"], [2 / 3, 0.5, of_null, 0.5])


def test_low_cardinality_is_dropped(tmp_path: Path) -> None:
    ids = ["s", "i"] >> ops.Categorify(freq_threshold={"s": 1, "i": 2})
    outputs = compiled((ids >> ops.DropLowCardinality(4) >> ops.Rename(postfix="_id")), tmp_path)
    assert list(outputs) == ["s_id"]


def test_inner_steps_have_files_of_their_own(tmp_path: Path) -> None:
    ids = ["s", "i"] >> ops.Categorify()
    graph = ids + (ids >> ops.TargetEncoding("click", kfold=1)) + (ids >> ops.HashedCross(7))
    outputs = compiled(graph, tmp_path)
    assert list(outputs) == ["s", "i", "TE_s_click", "TE_i_click", "s_X_i"]
    source = outputs["s_X_i"].chain.sources[0]
    assert not isinstance(source, str)
    assert source.steps == outputs["s"].chain.steps


def test_a_vocabulary_in_parts_is_read_in_the_order_of_its_ids(tmp_path: Path) -> None:
    for number in (2, 10):
        frame = pd.DataFrame({"i": [number, number + 1], "i_size": [4, 1]})
        frame.index = pd.RangeIndex(3 if number == 2 else 5, 5 if number == 2 else 7)
        frame.to_parquet(tmp_path / f"part.{number}.parquet")
    (values,), counts = read_vocabulary(tmp_path, ["i"], "i_size", ["integer"], 3)
    assert values.to_pylist() == [2, 3, 10, 11]
    assert counts.tolist() == [4, 1, 4, 1]
    with pytest.raises(PlanError, match="Column 'i': the feature plan wants a vocabulary of stri"):
        read_vocabulary(tmp_path, ["i"], "i_size", ["text"], 3)
    with pytest.raises(PlanError, match="wanted a column 'j_size' with the number of times"):
        read_vocabulary(tmp_path, ["i"], "j_size", ["integer"], 3)
    (tmp_path / "part.2.parquet").unlink()
    with pytest.raises(PlanError, match="wanted ids from 3 on without a gap"):
        read_vocabulary(tmp_path, ["i"], "i_size", ["integer"], 3)


WHOLE = pd.DataFrame({"i": [7.0, np.nan, 7.0, 9.0], "y": [0.0, 1.0, 2.0, 3.0]})
"""As pandas reads integers of which one is missing."""


@pytest.mark.parametrize(
    "graph",
    [
        lambda: ["i"] >> ops.Categorify(),
        lambda: ["i"] >> ops.TargetEncoding("y", kfold=1),
        lambda: ["i"] >> ops.JoinGroupby(cont_cols=["y"], stats=["sum"]),
    ],
    ids=["Categorify", "TargetEncoding", "JoinGroupby"],
)
def test_integers_that_pandas_made_floats_of_are_integers(graph: Any, tmp_path: Path) -> None:
    def of(frame: pd.DataFrame, name: str) -> Plan:
        folder = tmp_path / name
        for number in range(3):  # TargetEncoding does not make its folder
            (folder / f"{number}").mkdir(parents=True)
        workflow = Workflow(graph())
        set_folder(workflow, folder)
        with quiet(), Serial():
            workflow.fit(Dataset(frame, cpu=True))
        write_plan(folder / "plan", *compile_fitted(workflow, KINDS, folder / "plan"))
        return read_plan(folder / "plan")

    as_integers = WHOLE.assign(i=WHOLE["i"].astype("Int64"))
    assert of(WHOLE, "floats").content_hash == of(as_integers, "integers").content_hash
    fractions = WHOLE.assign(i=WHOLE["i"] + 0.5)
    with pytest.raises(PlanError, match=r"Column 'i': the feature plan wants .* of int64, got d"):
        of(fractions, "fractions")


def test_statistics_that_are_not_finite_raise(tmp_path: Path) -> None:
    nothing = TABLE.set_column(0, "x", pa.nulls(4, pa.float32()))
    for graph, message in (
        (["x"] >> ops.Normalize(), "Column 'x': its mean in the training split is nan"),
        (["x"] >> ops.NormalizeMinMax(), "Column 'x': its numbers in the training split are all"),
        (["x"] >> ops.FillMedian(), "Column 'x': its median in the training split is nan"),
        (["s"] >> ops.TargetEncoding("x", kfold=1), "Column 'TE_s_x': the target's mean in the tr"),
    ):
        workflow = fitted(graph, tmp_path / "learned", nothing)
        with pytest.raises(DataError, match=message):
            compile_fitted(workflow, KINDS, tmp_path / "plan")


def golden(plan: Plan) -> Any:
    """The plan's JSON with nine digits per number, and without hashes.

    The hashes depend on the library that wrote the files.
    """
    text = (plan.folder / "plan.json").read_text(encoding="utf-8")

    def simplified(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: simplified(v) for k, v in value.items() if "sha256" not in k}
        if isinstance(value, float):
            return float(f"{value:.9g}")
        return [simplified(v) for v in value] if isinstance(value, list) else value

    return {k: v for k, v in simplified(json.loads(text)).items() if k != "content_hash"}


def test_golden_plan_of_a_large_graph(tmp_path: Path) -> None:
    filled = ["x", "y"] >> ops.FillMissing(1.0, add_binary_cols=True)
    normal = filled[["x", "y"]] >> ops.Clip(min_value=0) >> ops.LogOp() >> ops.Normalize()
    ids = ["s", "i"] >> ops.Categorify(max_size=5, num_buckets=2)
    buckets = ["y"] >> ops.FillMedian() >> ops.Bucketize([1.0, 2.0]) >> ops.Rename(postfix="_b")
    combined = [["s", "i"]] >> ops.Categorify(encode_type="combo", freq_threshold=1)
    crossed = (buckets + "s") >> ops.HashedCross(16)
    statistics = ["s", ["s", "i"]] >> ops.JoinGroupby(normal, ["count", "mean"], name_sep="-")
    encoded = ids >> ops.TargetEncoding("click", kfold=3, p_smooth=1) >> ops.NormalizeMinMax()
    graph = normal + filled[["x_filled"]] + ids + buckets + combined + crossed + statistics
    compiled(graph + encoded + "click", tmp_path)
    file = Path(__file__).parents[1] / "golden/large_graph.plan.json"
    assert golden(read_plan(tmp_path / "plan")) == json.loads(file.read_text(encoding="utf-8"))
