"""Accumulators merged in any order give the step of one that reads all rows, to the bit."""

from __future__ import annotations

import copy
import inspect
import math
import operator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plumbline.columns.values import NULL_INT64, Text, Values
from plumbline.features.lookup.tables import Tables
from plumbline.features.operators.categorify import FitCategorify
from plumbline.features.operators.column_similarity import FeatureMatrix, FitSimilarity
from plumbline.features.operators.fill_median import FitMedian
from plumbline.features.operators.given_vocabulary import GivenVocabulary
from plumbline.features.operators.join_external import FitJoin
from plumbline.features.operators.join_groupby import FitGroupStatistic
from plumbline.features.operators.normalize import FitNormalize
from plumbline.features.operators.normalize_min_max import FitNormalizeMinMax
from plumbline.features.operators.quantile_bucketize import FitQuantileBucketize
from plumbline.features.operators.quantile_transform import FitQuantileTransform
from plumbline.features.operators.single_table import FitSingleTable, Member
from plumbline.features.operators.target_encoding import FitTargetEncoding
from plumbline.features.steps.cells import CELLS
from plumbline.features.steps.fit_step import Accumulator, FitStep, KeptAccumulator, Target
from plumbline.features.steps.step import Step
from plumbline.features.steps.value_types import Element, ValueType

relaxed = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
both_implementations = pytest.mark.usefixtures("implementation")

NUMBER: tuple[Element, ...] = ("number",)
FEATURES = FeatureMatrix(3, np.array([1, 2]), np.array([0, 0]), np.array([0.5, 2.0]))
TABLE = (Member(FitCategorify(), ("i",)), Member(FitCategorify(2), ("t",)))
STEPS: list[tuple[FitStep[Any], tuple[Element, ...]]] = [
    (FitNormalize(), NUMBER),
    (FitNormalizeMinMax(), NUMBER),
    (FitMedian(), NUMBER),
    (FitQuantileBucketize(3), NUMBER),
    (FitQuantileTransform(4), NUMBER),
    (FitCategorify(), ("integer",)),
    (FitCategorify(2, 3), ("text",)),
    (FitCategorify(), ("integer", "text")),
    (FitCategorify(shared=("i", "j")), ("integer", "integer")),
    (GivenVocabulary("", 1, None, pa.array([3, 9, 1])), ("integer",)),
    (FitSingleTable(TABLE, 0), ("integer", "text")),
    *((FitGroupStatistic(name, "x"), ("integer",)) for name in ("mean", "std", "min", "max")),
    (FitGroupStatistic("count", None), ("integer", "text")),
    (FitJoin("sha", (pa.array([1, None]),), pa.array([0.5, 1.5])), ("integer",)),
    (FitSimilarity("sha", "sha", FEATURES, FEATURES), ("integer", "integer")),
    (FitTargetEncoding("x", 1.0, 1, 0), ("text",)),
    (FitTargetEncoding("x", 2.0, 3, 5), ("integer", "text")),
]
ROW = st.tuples(
    st.sampled_from([-2.5, -0.0, 0.0, 1.0, 7.25, math.nan]),
    st.sampled_from([NULL_INT64, 1, 2, 3]),
    st.sampled_from([b"", b"a", b"b", "é".encode()]),
)
CHUNKS = st.lists(st.lists(ROW, max_size=6), min_size=2, max_size=5)


def values_of(rows: list[Any], step: FitStep[Any], elements: tuple[Element, ...]) -> list[Values]:
    columns: dict[str, Values] = {
        "number": np.array([number for number, _, _ in rows], np.float64),
        "integer": np.array([integer for _, integer, _ in rows], np.int64),
        "text": Text.from_objects([text for _, _, text in rows]),
    }
    return [columns[element] for element in (*elements, *["number"] * len(step.also_reads))]


def accumulated(
    chunks: list[tuple[int, list[Any]]], step: FitStep[Any], elements: tuple[Element, ...]
) -> Accumulator:
    accumulator: Accumulator = step.accumulator([ValueType(element) for element in elements])
    for number, rows in chunks:
        accumulator.add(number, values_of(rows, step, elements))
    return accumulator


def encoded(step: Step, rows: list[Any], fit: FitStep[Any], elements: Any, folder: Path) -> Any:
    takes_one = isinstance(fit, FitSingleTable) or getattr(fit, "shared", None)
    values = values_of(rows, fit, elements)[: 1 if takes_one else len(elements)]
    return step.bind(Tables(folder))(*values)


def test_every_fitted_operator_is_covered() -> None:
    wanted = {one for one in FitStep.__subclasses__() if not inspect.isabstract(one)}
    assert {one.__name__ for one in wanted} == {type(step).__name__ for step, _ in STEPS}


@both_implementations
@pytest.mark.parametrize(("step", "elements"), STEPS)
@relaxed
@given(CHUNKS, st.integers(1, 4))
def test_merging(
    step: FitStep[Any],
    elements: tuple[Element, ...],
    tmp_path: Path,
    chunks: list[list[Any]],
    cut: int,
) -> None:
    chunks = [*chunks, [(3.0, 1, b"a"), (4.0, 2, b"b")]]  # so that every step can be fitted
    numbered = list(enumerate(chunks))
    rows = [row for chunk in chunks for row in chunk]
    types = tuple(ValueType(element) for element in elements)
    names = tuple(f"c{n}" for n in range(len(elements)))

    together = accumulated(numbered, step, elements)
    first, second = (accumulated(p, step, elements) for p in (numbered[:cut], numbered[cut:]))
    merged, other = copy.deepcopy(second), copy.deepcopy(first)  # as Dask workers send them
    merged.merge(other)

    folders = [tmp_path / "together", tmp_path / "merged"]
    targets = [Target("fitted", names, types, folder) for folder in folders]
    one, two = (step.fitted(a, t) for a, t in zip((together, merged), targets, strict=True))
    assert two == one  # their files too: a step has their hashes
    results = [encoded(one, rows, step, elements, folder) for folder in folders]
    np.testing.assert_array_equal(*results)


@both_implementations
@pytest.mark.parametrize(("step", "elements"), STEPS)
@relaxed
@given(CHUNKS, st.integers(1, 4))
def test_going_on_from_a_state(
    step: FitStep[Any],
    elements: tuple[Element, ...],
    tmp_path: Path,
    chunks: list[list[Any]],
    cut: int,
) -> None:
    """What is written to a Parquet file and restored is what was learned."""
    chunks = [[(3.0, 1, b"a"), (4.0, 2, b"b")], *chunks]
    numbered = list(enumerate(chunks))
    before = accumulated(numbered[:cut], step, elements)
    if not isinstance(before, KeptAccumulator):
        assert step.not_appended is not None or not step.reads_rows
        return
    file = tmp_path / "state.parquet"
    pq.write_table(before.state(), file, use_dictionary=False)
    after = step.accumulator([ValueType(element) for element in elements])
    after.restore(pq.read_table(file))
    for number, rows in numbered[cut:]:
        after.add(number, values_of(rows, step, elements))
    types = tuple(ValueType(element) for element in elements)
    names = tuple(f"c{n}" for n in range(len(elements)))
    together = accumulated(numbered, step, elements)
    assert isinstance(together, KeptAccumulator)
    targets = [Target("fitted", names, types, tmp_path / name) for name in ("one", "two")]
    assert step.fitted(after, targets[0]) == step.fitted(together, targets[1])


def merged_cells(tables: list[pa.Table], least_counts: tuple[int, ...]) -> pa.Table:
    """Cells of one place as one, without those that no step reads: as Spark does it."""
    operations = operator.add, min, max, operator.or_
    values: dict[tuple[Any, ...], int] = {}
    for row in reversed(pa.concat_tables(tables).to_pylist()):
        value, place = row.pop("value"), tuple(row.values())
        merge = operations[row["operation"]]
        values[place] = merge(values[place], value) if place in values else value
    kept = [
        (*place, value)
        for place, value in values.items()
        if not least_counts or value >= least_counts[place[0]]
    ]
    columns = zip(*kept, strict=True) if kept else [[] for _ in CELLS]
    return pa.table(
        [pa.array(*one) for one in zip(columns, CELLS.types, strict=True)], schema=CELLS
    )


@both_implementations
@pytest.mark.parametrize(("step", "elements"), STEPS)
@relaxed
@given(CHUNKS)
def test_cells(
    step: FitStep[Any], elements: tuple[Element, ...], tmp_path: Path, chunks: list[list[Any]]
) -> None:
    """What accumulators of single chunks have learned, merged as integers by key."""
    chunks = [*chunks, [(3.0, 1, b"a"), (4.0, 2, b"b")]]
    numbered = list(enumerate(chunks))
    rows = [row for chunk in chunks for row in chunk]
    types = tuple(ValueType(element) for element in elements)
    names = tuple(f"c{n}" for n in range(len(elements)))

    together = accumulated(numbered, step, elements)
    tables = [accumulated([chunk], step, elements).cells() for chunk in numbered]
    assert all(table.schema == CELLS for table in tables)
    merged = accumulated([(0, [])], step, elements)
    merged.add_cells(merged_cells(tables, step.least_counts))

    folders = [tmp_path / "together", tmp_path / "merged"]
    targets = [Target("fitted", names, types, folder) for folder in folders]
    one, two = (step.fitted(a, t) for a, t in zip((together, merged), targets, strict=True))
    assert two == one
    results = [encoded(one, rows, step, elements, folder) for folder in folders]
    np.testing.assert_array_equal(*results)
    of_training = [
        step.for_training_rows(a, one, t) for a, t in zip((together, merged), targets, strict=True)
    ]
    if of_training[0] is not None:
        np.testing.assert_array_equal(*(each.values for each in of_training))
