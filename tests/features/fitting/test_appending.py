"""Days appended one by one give the statistics of all rows, and keep every id."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.base.errors import PlanError
from plumbline.columns.typed import values_of
from plumbline.features.fitting.appending import (
    Earlier,
    ids_before,
    refuse_what_cannot_be_appended,
)
from plumbline.features.fitting.fit import Fitted, fit
from plumbline.features.fitting.kept import STATISTICS_FILE, require_complete
from plumbline.features.fitting.nodes import CHUNK
from plumbline.features.lookup.tables import Tables
from plumbline.features.operators.bucketize import Bucketize
from plumbline.features.operators.categorify import FitCategorify
from plumbline.features.operators.fill_median import FitMedian
from plumbline.features.operators.given_vocabulary import GivenVocabulary
from plumbline.features.operators.join_groupby import FitGroupStatistic
from plumbline.features.operators.log import Log
from plumbline.features.operators.normalize import FitNormalize
from plumbline.features.operators.normalize_min_max import FitNormalizeMinMax
from plumbline.features.operators.quantile_bucketize import FitQuantileBucketize
from plumbline.features.operators.quantile_transform import FitQuantileTransform
from plumbline.features.operators.single_table import FitSingleTable, Member
from plumbline.features.operators.target_encoding import FitTargetEncoding
from plumbline.features.plan.plan import Plan, write_plan
from plumbline.features.plan.unfitted import UnfittedColumn, UnfittedPlan
from plumbline.features.steps.chains import Runner
from tests.features.fitting.test_fit import KINDS, ROW, output, plan_with, source_of

FIRST = {"x": 2.5, "i": 1, "j": 2, "s": "a", "l": ["a"], "click": 1}
"""A row that every fit needs: a column without a number has no median."""
DAYS = st.lists(st.lists(ROW, max_size=8), min_size=1, max_size=4)
few = settings(max_examples=15)

VOCABULARIES = {
    "ids": output("ids", "i", FitCategorify(2)),
    "words": output("words", "s", FitCategorify(3, None, 2)),
    "elements": output("elements", "l", FitCategorify()),
    "pair": output("pair", ("i", "s"), FitCategorify(2)),
    "either": output("either", "i", FitCategorify(2, None, 1, ("i", "j"))),
    "or_other": output("or_other", "j", FitCategorify(2, None, 1, ("i", "j"))),
}
NUMBERS = [
    output("scaled", "x", FitNormalize()),
    output("bounded", "x", FitNormalizeMinMax()),
    output("filled", "x", FitMedian()),
    output("scores", "x", FitQuantileTransform(4)),
    *(
        output(name, ("i",), FitGroupStatistic(name, "x"))  # type: ignore[arg-type]
        for name in ("sum", "mean", "std", "min", "max")
    ),
    output("count", ("i", "s"), FitGroupStatistic("count", None)),
    output("rate", "s", FitTargetEncoding("click", 2.0, 3, 5)),
    output("price", ("s", "i"), FitTargetEncoding("x", 1.0, 1, 0)),
]
BUCKETS = output("buckets", "x", FitQuantileBucketize(3))
GIVEN = output("given", "j", GivenVocabulary("", 1, None, pa.array([3, 9, 1])))
PLAN = plan_with(*VOCABULARIES.values(), *NUMBERS, BUCKETS, GIVEN)


def fitted(
    rows: list[dict[str, Any]], folder: Path, earlier: Earlier | None = None, plan=PLAN
) -> tuple[Earlier, Fitted]:
    """A fit on the rows, which keeps its statistics, as what the next fit goes on from."""
    found = fit(
        plan, source_of(rows), folder / "plan", lambda _: None, folder / "statistics", earlier
    )
    written = write_plan(folder / "plan", plan.inputs, found.outputs)
    return Earlier(written, folder / "statistics"), found


def appended(days: Sequence[list[dict[str, Any]]], folder: Path, plan=PLAN) -> list[Earlier]:
    """What follows after each of the days."""
    after: list[Earlier] = []
    for number, day in enumerate(days):
        earlier = after[-1] if after else None
        after.append(fitted(day, folder / f"day {number}", earlier, plan)[0])
    return after


def vocabulary(plan: Plan, name: str) -> tuple[list[Any], list[int]]:
    """The values in the order of their ids, and their counts."""
    (column,) = (one for one in plan.outputs if one.name == name)
    found = plan.vocabulary(column)
    return found.value.to_pylist(), found.count.to_pylist()


@few
@given(DAYS)
def test_days_one_by_one_give_the_statistics_of_all_rows(days: list[list[dict[str, Any]]]) -> None:
    days[0] = [FIRST, *days[0]]
    with tempfile.TemporaryDirectory() as folder:
        last = appended(days, Path(folder))[-1].plan
        every, _ = fitted([row for day in days for row in day], Path(folder) / "every")
        steps = {column.name: column.chain.steps for column in last.outputs}
        wanted = {column.name: column.chain.steps for column in every.plan.outputs}
        assert steps.keys() == wanted.keys()
        for column in NUMBERS:  # with the hashes of their files, so to the bit
            assert steps[column.name] == wanted[column.name], column.name
        assert vocabulary(last, "given") == vocabulary(every.plan, "given")
        for name in VOCABULARIES:
            got, of_all = (
                {str(value): count for value, count in zip(*vocabulary(plan, name), strict=True)}
                for plan in (last, every.plan)
            )
            assert got == of_all, name


@few
@given(DAYS)
def test_the_kept_statistics_are_those_of_all_rows(days: list[list[dict[str, Any]]]) -> None:
    """Also those below a threshold, and those of buckets, which stay as they are."""
    days[0] = [FIRST, *days[0]]
    plan = plan_with(VOCABULARIES["words"], VOCABULARIES["pair"], BUCKETS)
    with tempfile.TemporaryDirectory() as folder:
        last = appended(days, Path(folder), plan)[-1]
        every, _ = fitted([row for day in days for row in day], Path(folder) / "every", None, plan)
        for name in ("words", "pair", "buckets"):
            one, other = (
                pq.read_table(kept.statistics / f"{name}.parquet") for kept in (last, every)
            )
            assert one == other, name


@few
@given(DAYS)
def test_ids_stay_and_new_ones_follow_by_count(days: list[list[dict[str, Any]]]) -> None:
    days[0] = [FIRST, *days[0]]
    known: list[str] = []
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for day, kept in zip(days, appended(days, Path(folder)), strict=True):
            counts.update(row["s"] for row in day if row["s"])
            new = [word for word, count in counts.items() if count >= 3 and word not in known]
            known += sorted(new, key=lambda word: (-counts[word], word.encode()))
            assert vocabulary(kept.plan, "words") == (known, [counts[word] for word in known])


@few
@given(DAYS)
def test_boundaries_of_buckets_stay(days: list[list[dict[str, Any]]]) -> None:
    days[0] = [FIRST, *days[0]]
    plan = plan_with(BUCKETS)
    with tempfile.TemporaryDirectory() as folder:
        steps = [kept.plan.outputs[0].chain.steps for kept in appended(days, Path(folder), plan)]
    assert isinstance(steps[0][0], Bucketize) and all(step == steps[0] for step in steps)


def test_a_row_is_encoded_out_of_fold_with_older_rows(tmp_path: Path) -> None:
    """A training row of the day sees the clicks of older rows, but not its own."""
    plan = plan_with(output("rate", "s", FitTargetEncoding("click", 0.0, 2, 0, 0.5)))
    row = {**FIRST, "s": "a"}
    first, _ = fitted([{**row, "click": 1}] * 40, tmp_path / "one", None, plan)
    _, second = fitted([{**row, "click": 0}], tmp_path / "two", first, plan)
    columns = {"s": source_of([row]).tables["train"]["s"]}

    values = {name: values_of(column) for name, column in columns.items()}
    values[CHUNK] = np.zeros(1, np.int64)
    tables = Tables(tmp_path / "two" / "plan")
    assert Runner(second.training[0], tables)(values).tolist() == [1.0]
    assert Runner(second.outputs[0].chain, tables)(values).tolist() == [40 / 41]


def rows_of_words(*words: str) -> list[dict[str, Any]]:
    return [{**FIRST, "s": word} for word in words]


def test_a_limit_keeps_values_out_and_counts_them(tmp_path: Path) -> None:
    plan = plan_with(output("words", "s", FitCategorify(0, 2)))
    first, nothing = fitted(rows_of_words("a"), tmp_path / "one", None, plan)
    assert nothing.left_out == {}
    second, found = fitted(rows_of_words("c", "b", "b", "d"), tmp_path / "two", first, plan)
    assert vocabulary(second.plan, "words") == (["a", "b"], [1, 2])
    assert found.left_out == {"words": 2}
    third, found = fitted(rows_of_words("d", "d", "d"), tmp_path / "three", second, plan)
    assert vocabulary(third.plan, "words") == (["a", "b"], [1, 2])
    assert found.left_out == {"words": 2}


def test_outputs_are_frozen(tmp_path: Path) -> None:
    """A column that was dropped for its few values stays dropped, and one that was kept stays."""
    few = output("few", "i", FitCategorify())
    plan = UnfittedPlan(
        PLAN.inputs,
        (
            UnfittedColumn("few", few.chain, minimum_cardinality=4),
            output("words", "s", FitCategorify()),
        ),
    )
    first, _ = fitted([FIRST], tmp_path / "one", None, plan)
    assert [column.name for column in first.plan.outputs] == ["words"]
    many = [{**FIRST, "i": value} for value in range(20)]
    second, _ = fitted(many, tmp_path / "two", first, plan)
    assert [column.name for column in second.plan.outputs] == ["words"]


@pytest.mark.parametrize("buckets", [1, 3])
def test_the_ids_that_new_values_had(tmp_path: Path, buckets: int) -> None:
    plan = plan_with(
        output("words", "s", FitCategorify(2, None, buckets)),
        output("pair", ("i", "s"), FitCategorify(1, None, buckets)),
        output("elements", "l", FitCategorify(1, None, buckets)),
    )
    first, _ = fitted([FIRST] * 2, tmp_path / "one", None, plan)
    new = [{**FIRST, "i": i, "s": w, "l": [w]} for i, w in enumerate("bcdé", 5)] * 2
    second, _ = fitted(new, tmp_path / "two", first, plan)
    found = ids_before(first.plan, second.plan)
    assert found.keys() == {"words", "pair", "elements"}
    rows = source_of(new[:4]).tables["train"]
    columns = {name: values_of(rows[name]) for name in KINDS}
    for name, of_rows in found.items():
        (old,), (grown,) = (
            [column for column in plan.outputs if column.name == name]
            for plan in (first.plan, second.plan)
        )
        before, now = (
            Runner(column.chain, Tables(kept.plan.folder))(columns)
            for column, kept in ((old, first), (grown, second))
        )
        before, now = (ids.values if name == "elements" else ids for ids in (before, now))
        assert set(before.tolist()) <= set(old.id_step.unseen_ids)
        assert of_rows[now - old.cardinality].tolist() == before.tolist()


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (
            output("scaled", "x", FitMedian(), FitNormalize()),
            r"'scaled': no day can be appended to Normalize, which learns from the result of "
            r"FillMedian",
        ),
        (
            output("ids", "i", FitGroupStatistic("count", None), Log(), FitNormalizeMinMax()),
            r"NormalizeMinMax, which learns from the result of JoinGroupby.*frozen",
        ),
        (
            output("table", "i", FitSingleTable((Member(FitCategorify(), ("i",)),), 0)),
            r"'table': no day can be appended to Categorify\(single_table=True\)",
        ),
    ],
)
def test_what_cannot_be_appended_is_refused_by_name(column: UnfittedColumn, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        refuse_what_cannot_be_appended(plan_with(column))


def test_what_stays_can_be_learned_from() -> None:
    refuse_what_cannot_be_appended(PLAN)
    again = output("again", "x", FitQuantileBucketize(3), FitCategorify())
    refuse_what_cannot_be_appended(plan_with(again))


def test_damaged_statistics_are_named(tmp_path: Path) -> None:
    plan = plan_with(VOCABULARIES["words"])
    first, _ = fitted([FIRST], tmp_path / "one", None, plan)
    require_complete(first.statistics)
    (first.statistics / "words.parquet").write_bytes(b"PAR1")
    with pytest.raises(PlanError, match=r"words\.parquet: not a feature plan: it cannot be read"):
        fitted([FIRST], tmp_path / "two", first, plan)
    (first.statistics / "words.parquet").unlink()
    with pytest.raises(PlanError, match=r"words\.parquet: missing"):
        fitted([FIRST], tmp_path / "two", first, plan)
    (first.statistics / STATISTICS_FILE).write_text('{"format_version": 9}')
    with pytest.raises(PlanError, match="format version 9, but this Plumbline reads 1"):
        require_complete(first.statistics)
    (first.statistics / STATISTICS_FILE).unlink()
    with pytest.raises(PlanError, match=r"statistics\.json: missing"):
        require_complete(first.statistics)
