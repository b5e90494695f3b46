"""Each oddity of the data has a line with the columns' names; ordinary data has none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from plumbline.dlrm.judgement.columns import Ids, NumberRange, SplitSurvey
from plumbline.dlrm.judgement.data_warnings import data_warnings
from plumbline.dlrm.judgement.leaks import Leaks, Suspect
from plumbline.features.operators.bucketize import Bucketize
from plumbline.features.operators.categorify import Categorify
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.operators.normalize import Normalize
from plumbline.features.plan.plan import OutputColumn, Plan
from plumbline.features.steps.chains import Chain

ROWS = 1000
RATES = {"train": 0.2, "valid": 0.2, "test": 0.2}


def plan_of(
    cardinality: int = 12,
    fill: float = 0.0,
    mean: float = 0.0,
    threshold: int = 0,
    limit: int | None = None,
) -> Plan:
    """Ids 'c', lists of ids 'tags', numbers 'x'."""
    step = Categorify(threshold, limit, 1, cardinality, "vocabulary/c.parquet", "", "")
    chain = Chain(("c",), (step,))
    number = Chain(("x",), (FillMissing(fill), Normalize(mean, 2.0)))
    outputs = (
        OutputColumn("c", chain, "int64"),
        OutputColumn("tags", Chain(("tags",), (step,)), "list<int64>"),
        OutputColumn("x", number, "float32"),
    )
    return Plan(Path("plan"), (), outputs, "0" * 64)


def usual() -> dict[str, SplitSurvey]:
    return {
        name: SplitSurvey(
            name,
            rows,
            {"x": NumberRange(-2.0, 3.0)},
            {
                "c": Ids(1, 11, rows, missing=10, unseen=20),
                "tags": Ids(1, 11, 3 * rows, missing=0, unseen=30),
            },
        )
        for name, rows in (("train", ROWS), ("valid", ROWS), ("test", ROWS))
    }


def lines(
    change: Callable[[dict[str, SplitSurvey]], object],
    plan: Plan | None = None,
    click_rate: dict[str, float] | None = None,
) -> list[str]:
    surveys = usual()
    change(surveys)
    warnings = data_warnings(plan or plan_of(), surveys, Leaks({}, ()), click_rate or RATES)
    assert not any("\n" in line for line in warnings)
    return warnings


def test_usual_data_has_no_warning() -> None:
    assert lines(lambda surveys: None) == []


@pytest.mark.parametrize(
    ("fill", "mean", "always", "wanted"),
    [
        (
            0.0,
            0.0,
            0.0,
            "Column 'x' is constant: the same number in every training row, or missing",
        ),
        (
            7.0,
            1.0,
            3.0,
            "Column 'x' is constant: the same number in every training row, or missing",
        ),
        (7.0, 1.0, 0.0, "Column 'x' is constant: one value"),
    ],
)
def test_a_number_that_is_always_the_same(fill, mean, always, wanted) -> None:
    def change(surveys):
        surveys["train"].numbers["x"] = NumberRange(always, always)

    (line,) = lines(change, plan_of(fill=fill, mean=mean))
    assert line.startswith(wanted) and "unused" in line


def test_an_id_that_is_always_the_same_or_missing() -> None:
    def change(surveys, id_):
        surveys["train"].ids["c"] = Ids(id_, id_, ROWS, missing=ROWS if id_ == 1 else 0)

    (missing,) = lines(lambda surveys: change(surveys, 1))
    (constant,) = lines(lambda surveys: change(surveys, 5))
    assert missing.startswith("Column 'c' is missing in every training row")
    assert constant.startswith("Column 'c' is constant")


@pytest.mark.parametrize(
    "ranges", [((5.0, 5.0), (2, 9)), ((0.0, 0.0), (2, 9)), ((0.0, 3.0), (2, 2))]
)
def test_a_raw_column_is_constant_if_all_its_encoded_columns_are(ranges) -> None:
    outputs = (*plan_of().outputs, OutputColumn("b", Chain(("x",), (Bucketize((1.0,)),)), "int64"))

    def constant_warnings(of_number, of_bucket) -> list[str]:
        surveys = usual()
        surveys["train"].numbers["x"] = NumberRange(*of_number)
        surveys["train"].ids["b"] = Ids(*of_bucket, ROWS)
        return data_warnings(Plan(Path(), (), outputs, ""), surveys, Leaks({}, ()), RATES)

    assert constant_warnings(*ranges) == []
    for number, bucket, wanted in (
        (5.0, 1, "one value"),
        (0.0, 0, "one value"),
        (0.0, 1, "the sa"),
    ):
        (line,) = constant_warnings((number, number), (bucket, bucket))
        assert line.startswith(f"Column 'x' is constant: {wanted}")


def test_many_columns_of_a_kind_share_a_line() -> None:
    step = (FillMissing(0.0),)
    names = [f"x{i}" for i in range(9)]
    outputs = tuple(OutputColumn(name, Chain((name,), step), "float32") for name in names)
    surveys = usual()
    surveys["train"].numbers = {name: NumberRange(4.0, 4.0) for name in names}
    for split in ("valid", "test"):
        surveys[split].numbers = {}
    (line,) = data_warnings(Plan(Path(), (), outputs, ""), surveys, Leaks({}, ()), RATES)
    assert line.startswith("Columns 'x0', 'x1', 'x2', 'x3', 'x4' and 4 more are constant")


def test_a_column_with_a_value_for_each_row() -> None:
    (line,) = lines(lambda surveys: None, plan_of(cardinality=960))
    assert line.startswith("Column 'c' is nearly unique")  # the lists' values are shared
    assert lines(lambda surveys: None, plan_of(cardinality=800)) == []


OWN, RARE = "Column 'c' is nearly unique", "Column 'c' is out of vocabulary in every"
MOST = "Most values are out of vocabulary in 'c'"


@pytest.mark.parametrize(
    ("known", "unseen", "missing", "threshold", "limit", "wanted"),
    [
        (0, 1000, 0, 2, None, [OWN]),  # of values that occur once none is in the vocabulary
        (0, 600, 400, 2, None, [OWN]),
        (20, 950, 0, 2, None, [OWN]),
        (300, 640, 0, 2, None, [OWN]),
        (100, 790, 0, 2, None, [MOST]),
        (0, 1000, 0, 3, None, [RARE, MOST]),  # they may occur twice
        (450, 900, 0, 3, None, [OWN]),
        (0, 1000, 0, 2, 5, [RARE, MOST]),  # the limit may have left out frequent ones
        (0, 99, 901, 2, None, []),  # too few to say so
    ],
)
def test_values_too_rare_for_the_vocabulary(
    known: int, unseen: int, missing: int, threshold: int, limit: int | None, wanted: list[str]
) -> None:
    def change(surveys):
        seen = ROWS - unseen - missing
        low, high = 1 if missing else 2, 2 + known if seen else 2
        for split in ("train", "valid", "test"):
            surveys[split].ids["c"] = Ids(low, high, ROWS, missing, unseen)

    warnings = lines(change, plan_of(known + 3, threshold=threshold, limit=limit))
    assert len(warnings) == len(wanted)
    assert all(line.startswith(start) for line, start in zip(warnings, wanted, strict=True))


@pytest.mark.parametrize(("unseen", "warned"), [(501, True), (499, False)])
@pytest.mark.parametrize("split", ["valid", "test"])
def test_most_values_unseen(unseen: int, warned: bool, split: str) -> None:
    def change(surveys):
        surveys[split].ids["c"].unseen = unseen

    warnings = lines(change)
    assert len(warnings) == warned
    if warned:
        assert f"'c' (50% in {split}, 2% in train)" in warnings[0]


def test_a_handful_of_unseen_rows_says_nothing() -> None:
    def change(surveys):
        surveys["test"].ids["c"] = Ids(2, 2, 20, unseen=20)

    assert lines(change) == []


def test_large_numbers_and_numbers_outside_of_training() -> None:
    def large(surveys):
        surveys["train"].numbers["x"] = NumberRange(-3.0, 2e6)

    def outside(surveys):
        surveys["test"].numbers["x"] = NumberRange(-2.0, 301.0)

    (dominant,) = lines(large)
    assert "'x' (2e+06)" in dominant and "clip" in dominant
    (far,) = lines(outside)
    assert "'x' (301 in test, 3 in train)" in far and "clip_max" in far


@pytest.mark.parametrize(
    ("rate", "warned"), [(0.2, False), (0.28, False), (0.32, True), (0.1, True)]
)
@pytest.mark.parametrize("split", ["valid", "test"])
def test_click_rates_that_drift(rate: float, warned: bool, split: str) -> None:
    warnings = lines(lambda surveys: None, click_rate={**RATES, split: rate})
    assert len(warnings) == warned
    if warned:
        assert "20.000% in training" in warnings[0] and f"{rate:.3%} in {split}" in warnings[0]


def test_click_rates_of_few_rows_may_differ() -> None:
    def change(surveys):
        surveys["test"].rows = 20

    assert lines(change, click_rate={**RATES, "test": 0.4}) == []


def test_a_suspected_leak_is_named_first() -> None:
    leaks = Leaks({"x": 0.99}, (Suspect("x", 0.99, 0.995, 0.7),))
    (line,) = data_warnings(plan_of(), usual(), leaks, RATES)
    for words in ("Column 'x'", "leak", "0.990", "0.995", "0.700", "unused"):
        assert words in line
