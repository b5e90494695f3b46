"""`Categorify(single_table=True)`: one range of ids, the same in both engines and online."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from plumbline.columns.typed import TypedParquet, typed_schema
from plumbline.columns.wire import to_tensors
from plumbline.dlrm.judgement.columns import survey_split
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.engine.native_engine import NativeEngine
from plumbline.features.operators.categorify import Categorify
from plumbline.features.operators.single_table import SingleTableCategorify, offsets
from plumbline.features.plan.plan import Plan, read_plan
from plumbline.nvtabular.compile import compile_fitted, compile_unfitted
from plumbline.nvtabular.engine import NVTabularEngine
from plumbline.nvtabular.errors import UnsupportedOperator
from plumbline.nvtabular.library import Dataset, Workflow, ops
from plumbline.nvtabular.quiet import quiet
from plumbline.serving.backend.monitoring import Counter
from tests.contract.tables import (
    assert_same,
    native_setting,
    no_progress,
    online,
    read,
    write_splits,
)

KINDS: dict[str, Any] = {"a": "integer", "b": "string", "c": "string", "l": "integer_list"}


def table(**columns: list[Any]) -> pa.Table:
    return pa.table(columns, schema=typed_schema(KINDS))


TRAIN = table(
    a=[7, 7, 8, None],
    b=["x", None, "y", "x"],
    c=["y", "z", "z", "z"],
    l=[[1, 2], None, [2, None], []],
    click=[0, 1, 0, 1],
)
TEST = table(
    a=[8, None, 9], b=["z", None, "y"], c=[None, "q", "y"], l=[[1, 3], [2], [None]], click=[0, 1, 0]
)


def workflow(columns: list[Any], **parameters: Any) -> Workflow:
    return Workflow((columns >> ops.Categorify(single_table=True, **parameters)) + ["click"])


def encoded(graph: Workflow, folder: Path) -> tuple[Plan, dict[str, Any]]:
    """The plan, and the encoded test rows, on which both engines and the server agree."""
    splits = write_splits(folder / "raw", TRAIN, TEST)
    engine = NativeEngine(compile_unfitted(graph, KINDS))
    native = engine.fit_transform(TypedParquet(splits, KINDS), folder / "native", no_progress)
    other = NVTabularEngine("cpu", None).fit_transform(
        graph, KINDS, splits, folder / "nvtabular", no_progress
    )
    assert other.plan.content_hash == native.plan.content_hash
    for split in splits:
        assert_same(read(folder / "native" / split), read(folder / "nvtabular" / split))
    rows = read(folder / "native/test")
    plan = read_plan(folder / "native/plan")
    for setting in ("1", "0"):
        with native_setting(setting):
            assert_same(rows, online(plan, TEST))
    return plan, rows.to_pydict()


@pytest.mark.timeout(120)
def test_ids_by_hand(tmp_path: Path) -> None:
    plan, rows = encoded(workflow(["a", "b", "l"]), tmp_path)
    # a: 1 null, 2 unknown, 3 to 4; b: 5 null, 6 unknown, 7 to 8; l: 9 null, 10 unknown, 11 to 12.
    assert rows["a"] == [4, 1, 2]
    assert rows["b"] == [6, 5, 8]
    assert rows["l"] == [[12, 10], [11], [9]]
    assert plan.cardinalities == (13, 13, 13)
    words = plan.vocabulary(plan.outputs[1])
    assert words is not None
    assert (words.value.to_pylist(), words.id.to_pylist()) == (["x", "y"], [7, 8])


@pytest.mark.parametrize(
    ("columns", "parameters"),
    [
        (["a", "b", "l"], {"num_buckets": 3, "freq_threshold": 2}),
        (["a", "b"], {"max_size": 4, "dtype": "int32"}),
        (["a", ["b", "c"]], {"num_buckets": {"a": 1, "b": 4}}),
        ([["b", "c"], "a", ["a", "b"]], {"encode_type": "combo"}),
        (["b", "a", "c"], {"vocabs": {"b": pd.Series(["q", "x"])}}),
    ],
)
@pytest.mark.timeout(120)
def test_columns_share_no_id(columns: list[Any], parameters: Any, tmp_path: Path) -> None:
    if "vocabs" in parameters:
        parameters = {**parameters, "out_path": str(tmp_path / "given")}
        (tmp_path / "given").mkdir()
    plan, rows = encoded(workflow(columns, **parameters), tmp_path)
    ranges: dict[str, range] = {}
    for column in plan.categorical:
        step = column.id_step
        assert isinstance(step, SingleTableCategorify)
        ranges[step.vocabulary] = range(step.null_id, step.first_id + step.known)
        ids = rows[column.name]
        flat = [id_ for row in ids for id_ in row] if column.is_list else ids
        assert flat
        assert {*flat} <= {*ranges[step.vocabulary]}
        vocabulary = plan.vocabulary(column)
        assert vocabulary is not None
        assert vocabulary.id.to_pylist() == [*range(step.first_id, step.first_id + step.known)]
    every = sorted(id_ for ids in ranges.values() for id_ in ids)
    assert every == [*range(1, plan.cardinalities[0])]
    assert len({*plan.cardinalities}) == 1


def test_null_and_unseen_values_are_counted_by_their_own_ids(tmp_path: Path) -> None:
    plan, _ = encoded(workflow(["a", "b", "l"], num_buckets=2), tmp_path)
    survey = survey_split(
        "test", sorted((tmp_path / "native/test").iterdir()), plan.outputs, sampled=False
    )
    assert {name: (ids.missing, ids.unseen) for name, ids in survey.ids.items()} == {
        "a": (1, 1),
        "b": (1, 1),
        "l": (1, 1),
    }
    executor = OnlineExecutor(plan)
    ids = executor.transform(to_tensors(TEST, executor.columns))
    counts = Counter(plan).count(None, ids, None)
    assert (counts.categorical, counts.null, counts.unseen) == (3 + 3 + 4, 3, 3)


def test_the_plan_of_one_column_is_that_of_categorify_but_for_the_name(tmp_path: Path) -> None:
    plan, rows = encoded(workflow(["b"]), tmp_path / "one")
    graph = Workflow((["b"] >> ops.Categorify()) + ["click"])
    alone, same = encoded(graph, tmp_path / "alone")
    assert rows == same
    assert isinstance(alone.outputs[0].id_step, Categorify)
    assert plan.cardinalities == alone.cardinalities


def test_a_table_that_nvtabular_has_fitted_is_refused(tmp_path: Path) -> None:
    graph = workflow(["a", "b"], out_path=str(tmp_path))
    with quiet():
        graph.fit(Dataset(TRAIN.select(["a", "b", "click"]).to_pandas()))
    with pytest.raises(
        UnsupportedOperator, match=r"that NVTabular has fitted, .* Fit the workflow"
    ):
        compile_fitted(graph, KINDS, tmp_path)


def test_offsets_of_no_vocabulary() -> None:
    assert offsets([]) == [0]
    assert offsets([(1, 0)]) == [0, 2]
