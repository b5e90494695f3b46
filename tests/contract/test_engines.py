"""The contract of the engines: NVTabular, Polars and the online executor give the same results.

NVTabular, the reference, and Polars fit and encode Parquet files; the online executor runs the
plans XX of NVTabular differ by a bound: it
computes in float32 and the plan in float64, so each of NVTabular's operations adds a relative
rounding error of its operands, and the normalization divides what was added by the deviation:

    |difference| ≤ 2 ε ((1 + |x| + |mean|) / deviation + |result|),  ε = 2⁻²³

with x the value before normalization; the 1 is there for the rounding of 1 + x in the logarithm.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.columns import CLICK
from features.online import Encoded, OnlineExecutor
from features.plan import OutputColumn, Plan, read_plan
from features.polars_engine import PolarsEngine
from features.settings import CriteoWorkflow, StandardWorkflow
from features.steps import Categorify, Normalize
from features.typed import ARROW_TYPES, typed_schema
from features.wire import NULL_INT64, to_tensors
from workflows.compile import compile_unfitted
from workflows.engine import NVTabularEngine
from workflows.graphs import build

EPSILON = float(np.finfo(np.float32).eps)

EDGES = [2**63 - 1, 2**63 - 2, -(2**63) + 1, NULL_INT64, 2**53, 2**53 + 1, -1, 0]
WORDS = ["", " ", "a", "é", "e\u0301", "漢字", "😀", "null", "NaN", "0"]
# Not with U+0000: pandas takes what comes before it for the whole string (see the last test).
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=2)

# Of ordinary size where statistics come from them: NVTabular's float32 loses a deviation < 1e-38.
TRAINED = st.none() | st.just(float("nan")) | st.integers(-(10**6), 10**6).map(lambda n: n / 8)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "continuous": st.none() | st.floats(width=32),
    "integer": st.none() | st.sampled_from(EDGES) | st.integers(-3, 3),
    "hex": st.none() | st.sampled_from([2**63 - 1, 2**32, 0]) | st.integers(0, 5),
    "string": st.none() | st.sampled_from(WORDS) | TEXT,
}
PRESENT: dict[str, Any] = {"continuous": 1.5, "integer": 5, "hex": 5, "string": "a"}
"""A first training row with a value in each column: without one, fitting is refused."""

ORDINARY = st.floats(-100, 100, width=32)
STANDARD = st.builds(
    lambda log, clip_min, clip_max, **rest: StandardWorkflow(
        graph="standard", log=log, clip_min=0.5 if log else clip_min, clip_max=clip_max, **rest
    ),
    log=st.booleans(),
    normalize=st.booleans(),
    fill=ORDINARY,
    clip_min=st.none() | st.floats(-9, 0, width=32),
    clip_max=st.none() | st.floats(1, 9, width=32),
    frequency_threshold=st.integers(0, 3),
)
CRITEO = st.builds(CriteoWorkflow, graph=st.just("criteo"), frequency_threshold=st.integers(0, 3))


@st.composite
def column_kinds(draw: st.DrawFn) -> dict[str, Any]:
    counts = {kind: draw(st.integers(0, 2)) for kind in VALUES}
    kinds = {f"{kind}{n}": kind for kind, count in counts.items() for n in range(count)}
    return kinds or {"x": "continuous"}


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, Any], pa.Table, pa.Table]:
    """Kinds, a training split, and a split with values that training has not seen."""
    kinds = draw(column_kinds())

    def table(rows: int, continuous: st.SearchStrategy[Any], first: dict[str, Any]) -> pa.Table:
        strategies = {**VALUES, "continuous": continuous}
        columns = {
            name: first.get(name, [])
            + draw(st.lists(strategies[kind], min_size=rows, max_size=rows))
            for name, kind in kinds.items()
        }
        arrays = [pa.array(columns[name], ARROW_TYPES[kind]) for name, kind in kinds.items()]
        click = pa.array([0] * len(arrays[0]), pa.int8())
        return pa.table([*arrays, click], schema=typed_schema(kinds))

    first = {name: [PRESENT[kind]] for name, kind in kinds.items()}
    train = table(draw(st.integers(0, 12)), TRAINED, first)
    return kinds, train, table(draw(st.integers(1, 8)), VALUES["continuous"], {})


@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # cases are small as they are, and shrinking would take minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(case=cases(), workflow=STANDARD | CRITEO)
def test_ids_are_identical_and_floats_within_rounding(
    case: tuple[dict[str, Any], pa.Table, pa.Table], workflow: StandardWorkflow | CriteoWorkflow
) -> None:
    kinds, train, test = case
    with tempfile.TemporaryDirectory() as folder:
        splits = write_splits(Path(folder) / "raw", train, test)
        reference, polars = Path(folder) / "reference", Path(folder) / "polars"
        NVTabularEngine("cpu", None).fit_transform(
            workflow, kinds, splits, reference, lambda rows: None
        )
        graph = build(kinds, workflow, Path(folder) / "vocabulary")
        engine = PolarsEngine(compile_unfitted(graph, kinds))
        engine.fit_transform(kinds, splits, polars, lambda rows: None)
        same_plan(read_plan(reference / "plan"), read_plan(polars / "plan"))
        for split, raw in splits.items():
            compare(read_plan(reference / "plan"), raw, reference / split)
            same_ids(reference / split, polars / split)
            equal_to_the_last_place(read_plan(polars / "plan"), raw, polars / split)


def same_plan(reference: Plan, polars: Plan) -> None:
    """Columns, steps and vocabularies are the same; statistics are, but for float32's rounding."""
    assert polars.inputs == reference.inputs
    for one, other in zip(reference.outputs, polars.outputs, strict=True):
        assert (other.name, other.source, other.dtype) == (one.name, one.source, one.dtype)
        for step, twin in zip(one.steps, other.steps, strict=True):
            if isinstance(step, Normalize) and isinstance(twin, Normalize):
                size = abs(step.mean) + step.deviation + 1.0
                assert abs(twin.mean - step.mean) <= 4 * EPSILON * size
                assert abs(twin.deviation - step.deviation) <= 4 * EPSILON * size
            elif isinstance(step, Categorify):
                assert polars.vocabulary(other) == reference.vocabulary(one), one.name
                assert twin == step
            else:
                assert twin == step


def same_ids(reference: Path, polars: Path) -> None:
    for file in sorted(reference.iterdir()):
        one, other = pq.read_table(file), pq.read_table(polars / file.name)
        assert other.schema == one.schema
        for name in one.column_names:
            if one[name].type != pa.float32():
                assert other[name].equals(one[name]), name


def equal_to_the_last_place(plan: Plan, raw: Path, encoded: Path) -> None:
    executor = OnlineExecutor(plan)
    for file in sorted(encoded.iterdir()):
        online = executor.transform(to_tensors(pq.read_table(raw / file.name), executor.columns))
        table = pq.read_table(file)
        check_ids(plan, table, online)
        for position, column in enumerate(plan.continuous):
            np.testing.assert_array_max_ulp(
                table[column.name].to_numpy(), online.dense_BC[:, position], maxulp=1
            )


def write_splits(folder: Path, train: pa.Table, test: pa.Table) -> dict[str, Path]:
    """The training split in two files, so that statistics are put together from parts."""
    half = len(train) // 2
    parts = {"train": [train.slice(0, half), train.slice(half)], "test": [test]}
    for split, tables in parts.items():
        (folder / split).mkdir(parents=True)
        for number, table in enumerate(tables):
            pq.write_table(table, folder / split / f"part-{number:05d}.parquet")
    return {split: folder / split for split in parts}


def compare(plan: Plan, raw: Path, encoded: Path) -> None:
    executor = OnlineExecutor(plan)
    for file in sorted(encoded.iterdir()):
        reference = pq.read_table(file)
        assert reference.schema.names == [*(column.name for column in plan.outputs), CLICK]
        tensors = to_tensors(pq.read_table(raw / file.name), executor.columns)
        online = executor.transform(tensors)
        check_ids(plan, reference, online)
        for position, column in enumerate(plan.continuous):
            raw_B = tensors["continuous"][:, plan.inputs_of("continuous").index(column.source)]
            reference_B = reference[column.name].to_numpy()
            check_floats(
                column, raw_B.astype(np.float64), reference_B, online.dense_BC[:, position]
            )


def check_ids(plan: Plan, reference: pa.Table, online: Encoded) -> None:
    for position, column in enumerate(plan.categorical):
        ids_B = reference[column.name].to_numpy()
        np.testing.assert_array_equal(ids_B, online.ids_BF[:, position], err_msg=column.name)
        assert ((ids_B >= 1) & (ids_B < column.categorify.cardinality)).all()


def check_floats(
    column: OutputColumn,
    values_B: NDArray[np.float64],
    reference_B: NDArray[np.float32],
    online_B: NDArray[np.float32],
) -> None:
    mean, deviation = 0.0, 1.0
    for step in column.float_steps:
        if isinstance(step, Normalize):
            mean, deviation = step.mean, step.deviation or 1.0
        else:
            values_B = step.apply(values_B)
    finite_B = np.isfinite(online_B) & np.isfinite(reference_B)
    np.testing.assert_array_equal(reference_B[~finite_B], online_B[~finite_B])
    reference_B, online_B, values_B = (a[finite_B] for a in (reference_B, online_B, values_B))
    difference_B = np.abs(reference_B.astype(np.float64) - online_B.astype(np.float64))
    scale_B = (1.0 + np.abs(values_B) + abs(mean)) / deviation + np.abs(online_B)
    assert (difference_B <= 2 * EPSILON * scale_B).all(), (column, values_B, difference_B)


def test_a_plan_works_from_any_folder(tmp_path: Path) -> None:
    kinds: dict[str, Any] = {"i": "integer", "s": "string", "x": "continuous"}
    columns = {
        "i": pa.array([2**63 - 1, 2**63 - 2, None, NULL_INT64], pa.int64()),
        "s": ["漢字", "", None, "b"],
        "x": pa.array([1, None, float("nan"), 4], pa.float32()),
        "click": pa.array([0, 1, 0, 1], pa.int8()),
    }
    table = pa.table(columns)
    splits = write_splits(tmp_path / "raw", table, table)
    chosen = CriteoWorkflow(graph="criteo", frequency_threshold=0)
    NVTabularEngine("cpu", None).fit_transform(
        chosen, kinds, splits, tmp_path / "out", lambda rows: None
    )
    before = read_plan(tmp_path / "out/plan")
    shutil.move(tmp_path / "out/plan", tmp_path / "elsewhere")
    plan = read_plan(tmp_path / "elsewhere")
    assert plan.content_hash == before.content_hash
    online = OnlineExecutor(plan)
    encoded = online.transform(to_tensors(table, online.columns))
    # Ties by value: 2⁶³-2 before 2⁶³-1, and "b" before "漢字"; the wire's null marks are null.
    assert encoded.ids_BF.tolist() == [[4, 4], [3, 1], [1, 1], [1, 3]]
    compare(plan, splits["test"], tmp_path / "out/test")


def test_a_string_with_u0000_is_a_value_of_its_own(tmp_path: Path) -> None:
    """Where pandas is at fault: it takes "a\\0b" for "a". Polars and the online executor do not."""
    kinds: dict[str, Any] = {"s": "string"}
    words = ["a\0b", "a", "a", "a\0c"]
    table = pa.table({"s": words, "click": pa.array([0, 1, 0, 1], pa.int8())})
    splits = write_splits(tmp_path / "raw", table, table)
    graph = build(
        kinds, StandardWorkflow(graph="standard", frequency_threshold=0), tmp_path / "vocabulary"
    )
    engine = PolarsEngine(compile_unfitted(graph, kinds))
    engine.fit_transform(kinds, splits, tmp_path / "out", lambda rows: None)
    plan = read_plan(tmp_path / "out/plan")
    assert plan.vocabulary(plan.categorical[0]).value.to_pylist() == ["a", "a\0b", "a\0c"]
    equal_to_the_last_place(plan, splits["test"], tmp_path / "out/test")
