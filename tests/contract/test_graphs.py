"""Graphs at random: NVTabular and Polars fit and encode them alike, and fail alike.

Both compute in float64, in another order, so what they learn differs by rounding, and a float32
that is made of it by no more than its last place: next to 0, where differences cancel, by no more
than what is lost of the operands.
"""

from __future__ import annotations

import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from features.chains import Chain
from features.encoded import EtlResult
from features.errors import DataError
from features.plan import Plan
from features.polars_engine import PolarsEngine
from features.steps import Categorify, KeyedValue, Step
from features.typed import TypedParquet, typed_schema
from tests.contract.graphs import Graph, workflows
from workflows.compile import compile_unfitted
from workflows.engine import NVTabularEngine

NULL_INT64 = -(2**63)
INTEGERS = st.none() | st.sampled_from([2**63 - 1, NULL_INT64, -1, 0]) | st.integers(-3, 3)
HEXES = st.none() | st.sampled_from([2**63 - 1, 2**32]) | st.integers(0, 4)
# Not with U+0000: pandas takes what comes before it for the whole string.
WORDS = st.none() | st.sampled_from(["", "a", "b", "é", "漢字", "😀", "null", "0"])
EIGHTHS = st.none() | st.just(float("nan")) | st.integers(-16, 16).map(lambda n: n / 8)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "continuous": EIGHTHS,
    "integer": INTEGERS,
    "hex": HEXES,
    "string": WORDS,
    "integer_list": st.none() | st.lists(INTEGERS, max_size=3),
    "hex_list": st.none() | st.lists(HEXES, max_size=3),
    "string_list": st.none() | st.lists(WORDS, max_size=3),
}
NAMES: dict[str, Any] = {"x": "continuous", "y": "continuous", "i": "integer", "j": "integer"} | {
    "h": "hex",
    "s": "string",
    "t": "string",
    "k": "integer_list",
    "g": "hex_list",
    "w": "string_list",
}


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, Any], Graph, list[pa.Table], pa.Table]:
    """Kinds, a graph, a training split in files, and another split."""
    chosen = draw(st.lists(st.sampled_from(list(NAMES)), min_size=1, max_size=6, unique=True))
    kinds = {name: NAMES[name] for name in chosen}

    def table(least: int) -> pa.Table:
        rows = draw(st.integers(least, 8))
        columns = [
            draw(st.lists(VALUES[kind], min_size=rows, max_size=rows)) for kind in kinds.values()
        ]
        click = draw(st.lists(st.integers(0, 1), min_size=rows, max_size=rows))
        schema = typed_schema(kinds)
        arrays = zip([*columns, click], schema.types, strict=True)
        return pa.table([pa.array(*array) for array in arrays], schema=schema)

    train = [table(1), *(table(0) for _ in range(draw(st.integers(0, 2))))]
    return kinds, draw(workflows(kinds)), train, table(1)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # cases are small as they are, and shrinking would take minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(case=cases())
def test_engines_agree(case: tuple[dict[str, Any], Graph, list[pa.Table], pa.Table]) -> None:
    kinds, graph, train, test = case
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        splits = {"train": write(folder / "raw/train", *train)}
        splits["test"] = write(folder / "raw/test", test)
        reference = _nvtabular(kinds, graph, splits, folder / "nvtabular")
        polars = _polars(kinds, graph, splits, folder / "polars")
        if isinstance(reference, str) or isinstance(polars, str):
            assert isinstance(reference, str) and isinstance(polars, str), (reference, polars)
            return
        same_plan(reference.plan, polars.plan)
        for split in splits:
            same_rows(folder / "nvtabular" / split, folder / "polars" / split)


def _nvtabular(
    kinds: dict[str, Any], graph: Graph, splits: dict[str, Path], out: Path
) -> EtlResult | str:
    engine = NVTabularEngine("cpu", None)
    try:
        return engine.fit_transform(graph.build(), kinds, splits, out, lambda rows: None)
    except DataError as error:
        return str(error)


def _polars(
    kinds: dict[str, Any], graph: Graph, splits: dict[str, Path], out: Path
) -> EtlResult | str:
    engine = PolarsEngine(compile_unfitted(graph.build(), kinds))
    try:
        return engine.fit_transform(TypedParquet(splits, kinds), out, lambda rows: None)
    except DataError as error:
        return str(error)


def write(folder: Path, *tables: pa.Table) -> Path:
    folder.mkdir(parents=True)
    for number, table in enumerate(tables):
        pq.write_table(table, folder / f"part-{number:05d}.parquet")
    return folder


def same_plan(one: Plan, other: Plan) -> None:
    assert one.inputs == other.inputs
    assert [c.name for c in one.outputs] == [c.name for c in other.outputs]
    for left, right in zip(one.outputs, other.outputs, strict=True):
        assert left.dtype == right.dtype
        _same_chain(left.chain, one, right.chain, other)


def _same_chain(one: Chain, plan: Plan, other: Chain, twin: Plan) -> None:
    assert len(one.steps) == len(other.steps)
    for left, right in zip(one.sources, other.sources, strict=True):
        if isinstance(left, str) or isinstance(right, str):
            assert left == right
        else:
            _same_chain(left, plan, right, twin)
    for step, of_twin in zip(one.steps, other.steps, strict=True):
        assert type(step) is type(of_twin)
        _same_step(step, plan, of_twin, twin)


def _same_step(step: Step, plan: Plan, of_twin: Any, twin: Plan) -> None:
    if isinstance(step, Categorify):
        assert step == of_twin
        left, right = (pq.read_table(p.folder / step.vocabulary) for p in (plan, twin))
        assert left.equals(right)
    elif isinstance(step, KeyedValue):
        assert step.table == of_twin.table
        _close([step.null, step.default], [of_twin.null, of_twin.default])
        left, right = (_by_key(p.folder / step.table) for p in (plan, twin))
        assert left.keys() == right.keys()
        _close(list(left.values()), [right[key] for key in left])
    elif step != of_twin:
        names = [field.name for field in fields(step)]
        _close([getattr(step, n) for n in names], [getattr(of_twin, n) for n in names])


def _by_key(file: Path) -> dict[Any, Any]:
    rows = pq.read_table(file).to_pylist()
    return {tuple(v for k, v in row.items() if k != "value"): row["value"] for row in rows}


def _close(one: list[Any], other: list[Any]) -> None:
    left, right = (np.array([np.nan if v is None else v for v in row]) for row in (one, other))
    np.testing.assert_allclose(left, right, rtol=1e-12, atol=1e-12)


def same_rows(one: Path, other: Path) -> None:
    left, right = (
        pa.concat_tables([pq.read_table(file) for file in sorted(folder.iterdir())])
        for folder in (one, other)
    )
    assert left.schema == right.schema
    for name in left.column_names:
        if left[name].type == pa.float32():
            values = left[name].to_numpy(), right[name].to_numpy()
            np.testing.assert_allclose(*values, rtol=1.2e-7, atol=1e-12, err_msg=name)
        else:
            assert left[name].combine_chunks().equals(right[name].combine_chunks()), name
