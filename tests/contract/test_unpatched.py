"""The contract with NVTabular itself, without patched operators.

NVTabular on pandas fits and runs a random workflow for which docs/operators.md lists no difference
(`unpatched_graphs`). Its rows are compared with those of the native engine, and with those of the
plan that is compiled from the fitted workflow. Ids are equal with two exceptions: values with equal
counts may be in another order, because NVTabular's sort is unstable, and values out of vocabulary
may be in another bucket, because its hash differs. Numbers are equal in float32 arithmetic.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from plumbline.columns.kinds import CLICK
from plumbline.columns.typed import TypedParquet, typed_schema
from plumbline.features.engine.native_engine import NativeEngine
from plumbline.features.operators.categorify import Categorify
from plumbline.features.operators.normalize import Normalize
from plumbline.features.operators.normalize_min_max import NormalizeMinMax
from plumbline.features.plan.plan import Plan, read_plan, write_plan
from plumbline.features.steps.chains import Chain
from plumbline.nvtabular.compile import compile_fitted, compile_unfitted
from plumbline.nvtabular.frames import FrameReader, merlin_input_schema
from plumbline.nvtabular.library import Dataset, Serial, Workflow, dask_frames, ops
from plumbline.nvtabular.operators import SUPPORTED
from plumbline.nvtabular.patched import set_folder
from plumbline.nvtabular.quiet import quiet
from tests.contract.graphs import OWN, Branch, Graph, Operator
from tests.contract.tables import no_progress, online, read, write_splits
from tests.contract.unpatched_graphs import COMPARED, FAMILIES, KINDS, forms, frames, graphs

RTOL, ATOL = 1e-5, 1e-4
"""Rounding of float32, times the ratio of numbers (below 10) to deviations (above `LEAST`)."""
LEAST = 0.05

NOT_COMPARED = {"HashBucket", "HashedCross", "Filter", "Dropna", *OWN}
"""NVTabular mixes the row's number into its hashes, filters every split, and has not our own."""


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.timeout(300)
def test_nvtabular_agrees(family: str) -> None:
    @settings(
        max_examples=3,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(graphs(family), frames(), st.booleans())
    def agree(graph: Graph, splits: tuple[pa.Table, pa.Table], in_parts: bool) -> None:
        first = graph.branches[0]
        assert family.split()[0] in {op.name for op in (*first.operators, first.last) if op}
        assert_agreement(graph, *splits, in_parts)

    agree()


@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(forms(), frames(), st.booleans())
@pytest.mark.timeout(300)
def test_nvtabular_combines_columns_the_same(
    graph: Graph, splits: tuple[pa.Table, pa.Table], in_parts: bool
) -> None:
    assert_agreement(graph, *splits, in_parts)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (lambda node: node - ["z"], "'x'"),
        (
            lambda node: (node >> ops.Rename(postfix="_1")) - (["z"] >> ops.Rename(postfix="_1")),
            "z_1",
        ),
        (lambda node: node["x"] + [["i"] >> ops.Categorify()], "not in index"),
    ],
)
def test_its_differences_and_lists_fail(graph: Any, message: str, tmp_path: Path) -> None:
    """Why differences by name, of renamed columns, and lists are not held against it."""
    frame = pd.DataFrame({"x": [1.0, 2.0], "z": [3.0, 4.0], "i": [1, 2], "t": ["a", "b"]})
    workflow = Workflow(graph(["x", "z"] >> ops.Normalize()))
    set_folder(workflow, tmp_path)
    with quiet(), Serial(), pytest.raises(KeyError, match=message):
        workflow.fit_transform(Dataset(frame, cpu=True)).to_ddf().compute()


def assert_agreement(graph: Graph, train: pa.Table, test: pa.Table, in_parts: bool) -> None:
    """NVTabular agrees with the native engine and with the plan of its fitted workflow."""
    median = any(op.name == "FillMedian" for b in graph.branches for op in b.operators)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raw = write_splits(folder / "raw", train, test)
        native = NativeEngine(compile_unfitted(graph.build(), KINDS))
        native.fit_transform(TypedParquet(raw, KINDS), folder / "native", no_progress)
        plan = read_plan(folder / "native" / "plan")
        assume(all(has_spread(step) for step in steps_of(plan)))
        # NVTabular's median is approximate with several partitions.
        workflow = fitted(graph, train, folder / "learned", 1 if median or not in_parts else 2)
        compiled = written(workflow, folder / "compiled")
        for split, rows in (("train", train), ("test", test)):
            reference = transformed(workflow, rows)
            assert_same_columns(plan, reference, read(folder / "native" / split))
            assert_same_columns(compiled, reference, online(compiled, rows), exact=True)


def has_spread(step: Any) -> bool:
    """Whether a normalization divides by more than rounding; constant columns differ."""
    if isinstance(step, Normalize):
        return step.deviation > LEAST
    return not isinstance(step, NormalizeMinMax) or step.maximum - step.minimum > LEAST


def steps_of(plan: Plan) -> Iterator[Any]:
    def of(source: str | Chain) -> Iterator[Any]:
        if isinstance(source, Chain):
            for inner in source.sources:
                yield from of(inner)
            yield from source.steps

    for column in plan.outputs:
        yield from of(column.chain)


def fitted(graph: Graph, train: pa.Table, folder: Path, partitions: int) -> Workflow:
    workflow = graph.build()
    set_folder(workflow, folder)
    folder.mkdir()
    for number in range(40):  # TargetEncoding does not make its folder
        (folder / f"{number}").mkdir()
    frame = dask_frames.from_pandas(FrameReader(KINDS, "cpu").frame(train), npartitions=partitions)
    with quiet(), Serial():
        return workflow.fit(Dataset(frame, cpu=True, schema=merlin_input_schema(KINDS)))


def transformed(workflow: Workflow, rows: pa.Table) -> Any:
    frame = FrameReader(KINDS, "cpu").frame(rows)
    with quiet(), Serial():
        data = Dataset(frame, cpu=True, schema=merlin_input_schema(KINDS))
        return workflow.transform(data).to_ddf().compute()


def written(workflow: Workflow, folder: Path) -> Plan:
    write_plan(folder, *compile_fitted(workflow, KINDS, folder))
    return read_plan(folder)


def assert_same_columns(plan: Plan, reference: Any, encoded: pa.Table, exact: bool = False) -> None:
    """`exact`: both use the same vocabulary file, so values with equal counts have equal ids."""
    assert {*reference.columns} - {CLICK} == {column.name for column in plan.outputs}
    for column in plan.outputs:
        theirs, ours = reference[column.name], encoded[column.name]
        if not column.is_categorical:
            expected = theirs.to_numpy(np.float64, na_value=np.nan)
            actual = ours.to_numpy()
            np.testing.assert_allclose(actual, expected, RTOL, ATOL, err_msg=column.name)
            continue
        pairs = list(zip(flat(theirs), flat(ours.to_pylist()), strict=True))
        last = column.chain.steps[-1]
        if isinstance(last, Categorify):
            assert_same_ids(plan, column, last, pairs, exact)
        else:
            assert all(expected == actual for expected, actual in pairs), column.name


def flat(values: Any) -> list[int]:
    return [int(number) for value in values for number in np.atleast_1d(value)]


def assert_same_ids(
    plan: Plan, column: Any, step: Any, pairs: list[tuple[int, int]], exact: bool
) -> None:
    first = 2 + step.num_buckets
    counts = plan.vocabulary(column).count.to_pylist() if step.cardinality > first else []
    partner: dict[int, int] = {}
    for theirs, ours in pairs:
        if theirs < first or ours < first:  # null, or out of vocabulary in any bucket
            unknown = min(theirs, ours) >= 2 and max(theirs, ours) < first
            assert theirs == ours or unknown, column.name
        else:
            assert counts[theirs - first] == counts[ours - first], column.name
            assert partner.setdefault(theirs, ours) == ours, column.name
            assert theirs == ours or not exact, column.name
    assert len(set(partner.values())) == len(partner), column.name


@pytest.mark.parametrize(
    ("operator", "columns"),
    [(ops.HashBucket(50), ["k"]), (ops.HashedCross(50), [["k", "t"]])],
    ids=["HashBucket", "HashedCross"],
)
def test_nvtabulars_hash_depends_on_the_row(operator: Any, columns: Any) -> None:
    """The reason why these two operators are not compared."""
    rows = 16
    frame = pd.DataFrame({"k": pd.array([5] * rows, "Int64"), "t": ["a"] * rows})
    with quiet(), Serial():
        workflow = Workflow(columns >> operator)
        encoded = workflow.fit_transform(Dataset(frame, cpu=True)).to_ddf().compute()
    assert encoded.iloc[:, 0].nunique() > 1


def test_max_size_keeps_the_largest_counts(tmp_path: Path) -> None:
    """No counts are equal here: NVTabular's sort is unstable."""
    words = ["a"] * 5 + ["b"] * 4 + ["c"] * 3 + ["d"] * 2 + ["e"]
    train = pa.table({name: [None] * 15 for name in KINDS} | {"t": words, "click": [0, 1, 0] * 5})
    train = train.cast(typed_schema(KINDS))
    graph = Graph((Branch(("t",), (Operator("Categorify", {"max_size": 6}),)),))
    assert_agreement(graph, train, train, in_parts=False)


def test_the_page_lists_the_operators_that_are_compared() -> None:
    page = (Path(__file__).parents[2] / "docs/operators.md").read_text(encoding="utf-8")
    section = page.partition("## What this page is tested against")[2].partition("\n## ")[0]
    rows = [row.split("|") for row in section.splitlines() if row.startswith("| `")]
    named = {
        name: not re.search("our own|rows that", row[2])
        for row in rows
        for name in re.findall(r"`(\w+)`", row[1])
    }
    assert COMPARED.isdisjoint(NOT_COMPARED)
    assert {name for name, is_compared in named.items() if is_compared} == COMPARED
    assert {*named} == COMPARED | NOT_COMPARED == {*SUPPORTED}


def test_nvtabulars_flags_are_booleans() -> None:
    """The reason why `NormalizeMinMax` of flags is not compared."""
    frame = pd.DataFrame({"x": [1.0, np.nan]})
    flags = ["x"] >> ops.FillMissing(0, add_binary_cols=True) >> ops.NormalizeMinMax()
    with quiet(), Serial(), pytest.raises(TypeError, match="numpy boolean subtract"):
        Workflow(flags).fit_transform(Dataset(frame, cpu=True)).to_ddf().compute()
