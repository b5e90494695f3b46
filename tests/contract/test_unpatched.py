"""The contract with NVTabular itself: none of its operators is patched here.

One workflow, drawn at random where docs/operators.md finds no fault with NVTabular
(`unpatched_graphs`), is fitted and run by NVTabular on pandas. What it gives is compared with the
rows that our native engine encodes, and with those that the plan compiled from the fitted workflow
encodes. Ids are equal; only values that the training split has equally often may have each other's,
whose order NVTabular leaves to an unstable sort, and values out of vocabulary may be in another of
several buckets, by its other hash. Numbers are equal to what float32 arithmetic leaves of them.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.dataframe as dd
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
from plumbline.nvtabular.library import Dataset, Serial, Workflow, ops
from plumbline.nvtabular.operators import SUPPORTED
from plumbline.nvtabular.patched import set_folder
from plumbline.nvtabular.quiet import quiet
from tests.contract.graphs import Branch, Graph, Operator
from tests.contract.test_engines import nobody, online, read, write_splits
from tests.contract.unpatched_graphs import FAMILIES, HELD, KINDS, forms, frames, graphs

RTOL, ATOL = 1e-5, 1e-4
"""Numbers are below 10 and deviations above `LEAST`: a float32's rounding, times their ratio."""
LEAST = 0.05

NOT_HELD = {"HashBucket", "HashedCross", "QuantileBucketize", "QuantileTransform"}
"""NVTabular mixes the row's number into its hashes, and does not have the other two."""


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.timeout(300)
def test_nvtabular_gives_the_same(family: str) -> None:
    @settings(
        max_examples=3,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(graphs(family), frames(), st.booleans())
    def holds(graph: Graph, splits: tuple[pa.Table, pa.Table], in_parts: bool) -> None:
        first = graph.branches[0]
        assert family.split()[0] in {one.name for one in (*first.operators, first.last) if one}
        agree(graph, *splits, in_parts)

    holds()


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
    agree(graph, *splits, in_parts)


RENAMED = ["z"] >> ops.Rename(postfix="_1")


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


def agree(graph: Graph, train: pa.Table, test: pa.Table, in_parts: bool) -> None:
    """NVTabular, the native engine, and the plan compiled from NVTabular's fitted workflow."""
    median = any(one.name == "FillMedian" for b in graph.branches for one in b.operators)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raw = write_splits(folder / "raw", train, test)
        native = NativeEngine(compile_unfitted(graph.build(), KINDS))
        native.fit_transform(TypedParquet(raw, KINDS), folder / "native", nobody)
        plan = read_plan(folder / "native" / "plan")
        assume(all(spreads(step) for step in steps_of(plan)))
        # Of several parts its median is an approximate one.
        workflow = fitted(graph, train, folder / "learned", 1 if median or not in_parts else 2)
        compiled = written(workflow, folder / "compiled")
        for split, rows in (("train", train), ("test", test)):
            reference = transformed(workflow, rows)
            same_columns(plan, reference, read(folder / "native" / split))
            same_columns(compiled, reference, online(compiled, rows), exact=True)


def spreads(step: Any) -> bool:
    """Whether a normalization divides by no rounding error: a constant column is a fault."""
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
    for number in range(40):  # TargetEncoding makes no folder
        (folder / f"{number}").mkdir()
    frame = dd.from_pandas(FrameReader(KINDS, "cpu").frame(train), npartitions=partitions)
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


def same_columns(plan: Plan, reference: Any, encoded: pa.Table, exact: bool = False) -> None:
    """`exact` ids are those of one vocabulary file, in which values that tie have one order."""
    assert {*reference.columns} - {CLICK} == {column.name for column in plan.outputs}
    for column in plan.outputs:
        theirs, ours = reference[column.name], encoded[column.name]
        if not column.is_categorical:
            wanted = theirs.to_numpy(np.float64, na_value=np.nan)
            got = ours.to_numpy()
            np.testing.assert_allclose(got, wanted, RTOL, ATOL, err_msg=column.name)
            continue
        pairs = list(zip(flat(theirs), flat(ours.to_pylist()), strict=True))
        last = column.chain.steps[-1]
        if isinstance(last, Categorify):
            same_ids(plan, column, last, pairs, exact)
        else:
            assert all(one == two for one, two in pairs), column.name


def flat(values: Any) -> list[int]:
    return [int(one) for value in values for one in np.atleast_1d(value)]


def same_ids(plan: Plan, column: Any, step: Any, pairs: list[tuple[int, int]], exact: bool) -> None:
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
def test_its_hash_is_another_one_in_every_row(operator: Any, columns: Any) -> None:
    """Why these two are not held against it."""
    rows = 16
    frame = pd.DataFrame({"k": pd.array([5] * rows, "Int64"), "t": ["a"] * rows})
    with quiet(), Serial():
        workflow = Workflow(columns >> operator)
        made = workflow.fit_transform(Dataset(frame, cpu=True)).to_ddf().compute()
    assert made.iloc[:, 0].nunique() > 1


def test_the_largest_counts_stay(tmp_path: Path) -> None:
    """`max_size` where no counts tie; where they do, NVTabular's sort decides."""
    words = ["a"] * 5 + ["b"] * 4 + ["c"] * 3 + ["d"] * 2 + ["e"]
    train = pa.table({name: [None] * 15 for name in KINDS} | {"t": words, "click": [0, 1, 0] * 5})
    train = train.cast(typed_schema(KINDS))
    graph = Graph((Branch(("t",), (Operator("Categorify", {"max_size": 6}),)),))
    agree(graph, train, train, in_parts=False)


def test_the_page_says_which_operators_are_held_against_nvtabular() -> None:
    page = (Path(__file__).parents[2] / "docs/operators.md").read_text(encoding="utf-8")
    section = page.partition("## What this page is tested against")[2].partition("\n## ")[0]
    rows = [row.split("|") for row in section.splitlines() if row.startswith("| `")]
    named = {
        name: "our own" not in row[2] for row in rows for name in re.findall(r"`(\w+)`", row[1])
    }
    assert HELD.isdisjoint(NOT_HELD)
    assert {name for name, is_held in named.items() if is_held} == HELD
    assert {*named} == HELD | NOT_HELD == {*SUPPORTED}


def test_its_flags_are_booleans() -> None:
    """Why `NormalizeMinMax` of flags is not held against it."""
    frame = pd.DataFrame({"x": [1.0, np.nan]})
    flags = ["x"] >> ops.FillMissing(0, add_binary_cols=True) >> ops.NormalizeMinMax()
    with quiet(), Serial(), pytest.raises(TypeError, match="numpy boolean subtract"):
        Workflow(flags).fit_transform(Dataset(frame, cpu=True)).to_ddf().compute()
