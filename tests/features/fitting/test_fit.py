"""Every statistic against a simple reference, for any chunk size."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.base.errors import DataError
from plumbline.features.fitting.fit import Fitted, fit, training_columns
from plumbline.features.lookup.tables import Tables
from plumbline.features.operators.categorify import Categorify, FitCategorify
from plumbline.features.operators.fill_median import FitMedian
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.operators.join_groupby import FitGroupStatistic
from plumbline.features.operators.normalize import FitNormalize, Normalize
from plumbline.features.operators.normalize_min_max import FitNormalizeMinMax, NormalizeMinMax
from plumbline.features.operators.target_encoding import FitTargetEncoding, folds_of
from plumbline.features.plan.plan import InputColumn
from plumbline.features.plan.unfitted import UnfittedColumn, UnfittedPlan
from plumbline.features.steps.chains import Chain, Runner
from tests.row_sources import TableSource, rows_of, table_of

KINDS: dict[str, Any] = {
    "x": "continuous",
    "i": "integer",
    "j": "integer",
    "s": "string",
    "l": "string_list",
}
WORDS = st.none() | st.sampled_from(["a", "b", "é", "ab"])
INTEGERS = st.none() | st.sampled_from([1, 2, 3, -1, 2**63 - 1])
ROW = st.fixed_dictionaries(
    {
        "x": st.none() | st.sampled_from([math.nan, -2.5, -0.0, 0.0, 1.0, 7.25]),
        "i": INTEGERS,
        "j": INTEGERS,
        "s": WORDS,
        "l": st.none() | st.lists(WORDS, max_size=3),
        "click": st.integers(0, 1),
    }
)
ROWS = st.lists(ROW, min_size=1, max_size=12)


def source_of(rows: list[dict[str, Any]], chunk: int = 3) -> TableSource:
    columns = {name: [row[name] for row in rows] for name in KINDS}
    table = table_of(KINDS, [row["click"] for row in rows], **columns)
    return TableSource(KINDS, {"train": table}, chunk)


def plan_with(*outputs: UnfittedColumn) -> UnfittedPlan:
    return UnfittedPlan(tuple(InputColumn(n, k) for n, k in KINDS.items()), outputs)


def fitted(folder: Path, source: TableSource, *columns: UnfittedColumn) -> Fitted:
    return fit(plan_with(*columns), source, folder, lambda rows: None)


def output(name: str, sources: Any, *steps: Any) -> UnfittedColumn:
    return UnfittedColumn(name, Chain(sources if isinstance(sources, tuple) else (sources,), steps))


def encoded(folder: Path, source: TableSource, result: Fitted) -> dict[str, Any]:
    """All training rows at once, as the plan encodes any row."""
    rows = rows_of(source.tables["train"], KINDS)
    tables = Tables(folder)
    return {o.name: Runner(o.chain, tables)(rows.columns) for o in result.outputs}


def present(rows: list[dict[str, Any]]) -> list[float]:
    return [row["x"] for row in rows if row["x"] is not None and not math.isnan(row["x"])]


@settings(max_examples=60)
@given(ROWS, st.integers(1, 5))
def test_statistics_of_numbers(rows: list[dict[str, Any]], chunk: int) -> None:
    numbers = present(rows)
    columns = [
        output("x", "x", FitNormalize()),
        output("y", "x", FitNormalizeMinMax()),
        output("z", "x", FitMedian()),
    ]
    with tempfile.TemporaryDirectory() as folder:
        if not numbers:
            for column in columns:
                with pytest.raises(DataError, match="Column 'x'"):
                    fitted(Path(folder), source_of(rows, chunk), column)
            return
        result = fitted(Path(folder), source_of(rows, chunk), *columns)
    normalize, bounds, median = (o.chain.steps[0] for o in result.outputs)
    assert isinstance(normalize, Normalize)
    deviation = np.std(numbers, ddof=1) if len(numbers) > 1 else 0.0
    np.testing.assert_allclose(normalize.mean, np.mean(numbers), atol=1e-14)
    np.testing.assert_allclose(normalize.deviation, deviation, rtol=1e-13)
    assert bounds == NormalizeMinMax(min(numbers), max(numbers))
    assert median == FillMissing(float(np.median(numbers)))


def by_count(values: list[Any], threshold: int, limit: int | None) -> list[Any]:
    def rank(value: Any) -> Any:
        parts = value if isinstance(value, tuple) else (value,)
        keys = [(p is not None, p.encode() if isinstance(p, str) else p or 0) for p in parts]
        return -counted[value], keys

    counted = Counter(values)
    kept = [value for value, count in counted.items() if count >= max(threshold, 1)]
    return sorted(kept, key=rank)[:limit]


@settings(max_examples=60)
@given(ROWS, st.integers(1, 5), st.integers(0, 3), st.none() | st.integers(1, 3))
def test_vocabularies(
    rows: list[dict[str, Any]], chunk: int, threshold: int, limit: int | None
) -> None:
    step = FitCategorify(threshold, limit)
    shared = FitCategorify(threshold, limit, shared=("i", "j"))
    source = source_of(rows, chunk)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result = fitted(
            folder,
            source,
            output("s", "s", step),
            output("l", "l", step),
            output("i", "i", shared),
            output("j", "j", shared),
            output("both", ("i", "s"), step),
        )
        ids = encoded(folder, source, result)
    values = {
        "s": [[row["s"]] for row in rows],
        "l": [row["l"] or [] for row in rows],
        "i": [[row["i"]] for row in rows],
        "j": [[row["j"]] for row in rows],
        "both": [[(row["i"], row["s"])] for row in rows],
    }
    ids["l"] = ids["l"].values
    missing = (None, (None, None))
    for column in result.outputs:
        flat = [value for row in values[column.name] for value in row]
        counted = flat
        if column.name in "ij":
            counted = [value for name in "ij" for row in values[name] for value in row]
        order = by_count([v for v in counted if v not in missing], threshold, limit)
        wanted = [
            1 if value in missing else 3 + order.index(value) if value in order else 2
            for value in flat
        ]
        assert ids[column.name].tolist() == wanted, column.name
        assert column.cardinality == 3 + len(order)
    steps = {column.name: column.chain.steps[-1] for column in result.outputs}
    assert steps["i"] == steps["j"]


@settings(max_examples=60)
@given(ROWS, st.integers(1, 5))
def test_statistics_of_groups(rows: list[dict[str, Any]], chunk: int) -> None:
    names = ("count", "sum", "mean", "std", "var", "min", "max")
    source = source_of(rows, chunk)
    keys: dict[str, Any] = {"i": ("i",), "s": ("s",), "i_s": ("i", "s")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        columns = [
            output(f"{key}_{stat}", keys[key], FitGroupStatistic(stat, "x"))  # type: ignore[arg-type]
            for key in keys
            for stat in names
        ]
        result = fitted(folder, source, *columns)
        values = encoded(folder, source, result)
    for key, parts in keys.items():
        for index, row in enumerate(rows):
            same = [r for r in rows if all(r[part] == row[part] for part in parts)]
            x = np.array(present(same))
            nan = math.nan
            wanted = {
                "count": len(same),
                "sum": x.sum(),
                "mean": x.mean() if len(x) else nan,
                "std": x.std(ddof=1) if len(x) > 1 else nan,
                "var": x.var(ddof=1) if len(x) > 1 else nan,
                "min": x.min() if len(x) else nan,
                "max": x.max() if len(x) else nan,
            }
            for stat in names:
                got = values[f"{key}_{stat}"][index]
                np.testing.assert_allclose(got, wanted[stat], rtol=1e-12, atol=1e-12)


@settings(max_examples=60)
@given(ROWS, st.integers(1, 5), st.sampled_from([0.0, 1.0, 20.0]), st.integers(1, 3))
def test_encoded_targets(
    rows: list[dict[str, Any]], chunk: int, smoothing: float, folds: int
) -> None:
    source = source_of(rows, chunk)
    step = FitTargetEncoding("click", smoothing, folds, seed=5)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result = fitted(folder, source, output("te", ("i", "s"), step))
        served = encoded(folder, source, result)["te"]
        runner = Runner(result.training[0], Tables(folder))
        trained = [
            runner(training_columns(chunk_rows(), number))
            for number, chunk_rows in enumerate(source.chunks("train"))
        ]
    mean = float(np.mean([row["click"] for row in rows]))
    fold_of = np.concatenate(
        [
            folds_of(5, folds, number, len(rows[start : start + chunk]))
            for number, start in enumerate(range(0, len(rows), chunk))
        ]
    )

    def value(clicks: list[int]) -> float:
        weight = len(clicks) + smoothing
        return (sum(clicks) + smoothing * mean) / weight if weight else mean

    for index, row in enumerate(rows):
        same = [n for n, r in enumerate(rows) if (r["i"], r["s"]) == (row["i"], row["s"])]
        np.testing.assert_allclose(served[index], value([rows[n]["click"] for n in same]))
        others = [rows[n]["click"] for n in same if folds == 1 or fold_of[n] != fold_of[index]]
        np.testing.assert_allclose(np.concatenate(trained)[index], value(others))


def test_steps_fitted_on_fitted_steps(tmp_path: Path) -> None:
    rows = [
        {"x": x, "i": i, "j": None, "s": "a", "l": [], "click": 0}
        for x, i in [(1.0, 1), (None, 1), (5.0, 2), (9.0, None)]
    ]
    measured = Chain(("x",), (FitMedian(),))
    result = fitted(
        tmp_path,
        source_of(rows, 2),
        output("x", "x", FitMedian(), FitNormalize()),
        output("i_x_mean", "i", FitGroupStatistic("mean", measured), FitNormalize()),
    )
    x = np.array([1.0, 5.0, 5.0, 9.0])
    assert result.outputs[0].chain.steps == (FillMissing(5.0), Normalize(5.0, np.std(x, ddof=1)))
    means = np.array([3.0, 3.0, 5.0, 9.0])
    last = result.outputs[1].chain.steps[1]
    assert last == Normalize(means.mean(), np.std(means, ddof=1))


def test_a_column_with_few_ids_is_dropped(tmp_path: Path) -> None:
    rows = [{"x": 0, "i": n % 2, "j": n, "s": "a", "l": [], "click": 0} for n in range(4)]
    columns = [
        UnfittedColumn(name, Chain((name,), (FitCategorify(),)), minimum_cardinality=5)
        for name in ("i", "j")
    ]
    result = fitted(tmp_path, source_of(rows), *columns)
    assert [(o.name, o.cardinality) for o in result.outputs] == [("j", 7)]
    assert len(result.training) == 1


def test_inner_vocabularies_have_their_own_files(tmp_path: Path) -> None:
    rows = [{"x": 0, "i": 1, "j": 2, "s": "a", "l": [], "click": 0}]
    inner = tuple(Chain((name,), (FitCategorify(),)) for name in ("i", "j"))
    result = fitted(tmp_path, source_of(rows), output("i_j", inner, FitCategorify()))
    steps = [s.steps[0] for s in result.outputs[0].chain.sources if isinstance(s, Chain)]
    steps.append(result.outputs[0].chain.steps[0])
    assert all(isinstance(step, Categorify) for step in steps)
    assert [step.vocabulary for step in steps] == [
        "vocabulary/i.parquet", "vocabulary/j.parquet", "vocabulary/i_j.parquet",
    ]  # fmt: skip
    combined = pq.read_table(tmp_path / steps[2].vocabulary)
    assert combined["value"].to_pylist() == [{"i": 3, "j": 3}]


def test_a_measured_column_is_not_part_of_the_key(tmp_path: Path) -> None:
    rows = [{"x": 0, "i": n, "j": n, "s": "a", "l": [], "click": 0} for n in (1, 2)]
    columns = [
        output("mean", "s", FitGroupStatistic("mean", "i")),
        output("count", ("s", "i"), FitGroupStatistic("count", None)),
    ]
    values = encoded(tmp_path, source_of(rows), fitted(tmp_path, source_of(rows), *columns))
    assert values["mean"].tolist() == [1.5, 1.5]
    assert values["count"].tolist() == [1.0, 1.0]


def test_all_missing_columns_have_an_empty_vocabulary(tmp_path: Path) -> None:
    rows = [{"x": None, "i": None, "j": None, "s": None, "l": None, "click": n} for n in (0, 1)]
    source = source_of(rows)
    result = fitted(
        tmp_path,
        source,
        *(output(name, name, FitCategorify()) for name in ("i", "s", "l")),
        output("x", "x", FillMissing(2.0), FitNormalize()),
    )
    ids = encoded(tmp_path, source, result)
    assert ids["i"].tolist() == ids["s"].tolist() == [1, 1]
    assert ids["l"].offsets.tolist() == [0, 0, 0]
    assert ids["x"].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("step", [FitNormalize(), FitNormalizeMinMax()])
def test_infinite_statistics_are_refused(step: Any, tmp_path: Path) -> None:
    rows = [{"x": math.inf, "i": 1, "j": 1, "s": "a", "l": [], "click": 0}]
    with pytest.raises(DataError, match=r"Column 'x': its .* in the training split .*inf"):
        fitted(tmp_path, source_of(rows), output("x", "x", step))
