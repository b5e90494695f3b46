"""The steps of expressions against pandas and plain Python, value by value."""

from __future__ import annotations

import math
import operator
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.columns.values import NULL_INT64, Text
from plumbline.features.operators import cast, text
from plumbline.features.operators.arithmetic import Arithmetic
from plumbline.features.operators.compare import Compare, IsIn
from plumbline.features.operators.date_part import PARTS, DatePart
from plumbline.features.operators.periodic import Cosine, Sine
from plumbline.features.operators.range_ids import RangeIds
from plumbline.features.operators.seconds import Seconds
from plumbline.features.steps.step import step_from_json, step_to_json

EPOCH = datetime(1970, 1, 1)
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
NUMBERS = st.floats(-1e6, 1e6) | st.just(math.nan) | st.sampled_from([0.0, -0.0])


def microseconds(moment: datetime | None) -> int:
    return NULL_INT64 if moment is None else (moment - EPOCH) // timedelta(microseconds=1)


def texts(words: list[str]) -> Text:
    return Text.from_objects([word.encode() for word in words])


def strings(values: Text) -> list[str]:
    return [value.decode() for value in values.to_objects()]


def part_of(moment: datetime, part: str) -> int:
    """The part by Python's own calendar."""
    others = {
        "quarter": (moment.month + 2) // 3,
        "week": moment.isocalendar().week,
        "day_of_year": moment.timetuple().tm_yday,
        "day_of_week": moment.weekday(),
        "weekend": int(moment.weekday() >= 5),
    }
    return others[part] if part in others else int(getattr(moment, part))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | MOMENTS, max_size=8), st.integers(-14 * 60, 14 * 60))
def test_date_parts_are_those_of_the_calendar(moments: list[datetime | None], offset: int) -> None:
    times = np.array([microseconds(moment) for moment in moments], np.int64)
    for part in PARTS:
        wanted = [
            NULL_INT64 if m is None else part_of(m + timedelta(minutes=offset), part)
            for m in moments
        ]
        assert DatePart(part, offset).apply(times).tolist() == wanted, part


def test_date_parts_of_times_beyond_pythons_calendar() -> None:
    times = np.array([-(2**62), 2**62], np.int64)
    assert DatePart("year", 0).apply(times).tolist() == [-144169, 148108]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.none() | MOMENTS, st.none() | MOMENTS), max_size=6))
def test_seconds_between_times(pairs: list[tuple[datetime | None, datetime | None]]) -> None:
    starts, ends = (np.array([microseconds(p[i]) for p in pairs], np.int64) for i in (0, 1))
    wanted = [
        math.nan if None in pair else (pair[1] - pair[0]) / timedelta(seconds=1) for pair in pairs
    ]  # type: ignore[operator]
    np.testing.assert_allclose(Seconds(None).apply(starts, ends), wanted, rtol=2e-15, atol=0)
    since = microseconds(datetime(2020, 2, 29))
    wanted = [
        math.nan if p[1] is None else (p[1] - datetime(2020, 2, 29)) / timedelta(seconds=1)
        for p in pairs
    ]
    np.testing.assert_allclose(Seconds(since).apply(ends), wanted, rtol=2e-15, atol=0)


@settings(max_examples=40, deadline=None)
@given(st.lists(NUMBERS, max_size=6), st.floats(0.001, 1e4))
def test_sine_and_cosine_have_a_period(numbers: list[float], period: float) -> None:
    values = np.array(numbers, np.float64)
    wanted = [math.fmod(number, period) / period * 2 * math.pi for number in numbers]
    np.testing.assert_allclose(Sine(period).apply(values), np.sin(wanted), atol=1e-14)
    np.testing.assert_allclose(Cosine(period).apply(values), np.cos(wanted), atol=1e-14)
    shifted = Sine(period).apply(np.array([0.0, period / 4, period * 1000, math.inf]))
    np.testing.assert_allclose(shifted, [0.0, 1.0, 0.0, math.nan], atol=1e-9)


RELATIONS = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le,
             ">": operator.gt, ">=": operator.ge}  # fmt: skip
INTEGERS = st.integers(-(2**63) + 1, 2**63 - 1) | st.sampled_from([2**53, 2**53 + 1, 0, 1])


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.tuples(st.lists(NUMBERS, max_size=6), st.floats(-10, 10)),
        st.tuples(st.lists(st.none() | INTEGERS, max_size=6), INTEGERS),
        st.tuples(st.lists(WORDS, max_size=6), WORDS.filter(len)),
    )
)
def test_comparisons_are_pythons(case: tuple[list[Any], Any]) -> None:
    raw, constant = case
    if isinstance(constant, str):
        values: Any = texts(raw)
    else:
        dtype = np.float64 if isinstance(constant, float) else np.int64
        values = np.array([NULL_INT64 if value is None else value for value in raw], dtype)
    is_missing = [value in (None, "") or value != value for value in raw]

    def flags(holds: Any) -> list[float]:
        rows = zip(raw, is_missing, strict=True)
        return [math.nan if missing else float(holds(value)) for value, missing in rows]

    for relation, holds in RELATIONS.items():
        wanted = flags(lambda value, holds=holds: holds(value, constant))
        np.testing.assert_array_equal(Compare(relation, constant).apply(values), wanted)  # type: ignore[arg-type]
    wanted = flags(lambda value: value in (constant, *raw[:1]))
    constants = tuple(one for one in (constant, *raw[:1]) if one not in (None, "") and one == one)
    np.testing.assert_array_equal(IsIn(constants).apply(values), wanted)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=6), st.none() | st.just(7.0))
def test_arithmetic_is_pandas(pairs: list[tuple[float, float]], by_zero: float | None) -> None:
    frame = pd.DataFrame(pairs, columns=["a", "b"], dtype=np.float64)
    a, b = frame["a"].to_numpy(), frame["b"].to_numpy()
    ratio = (frame["a"] / frame["b"]).where(frame["b"] != 0, by_zero)
    ratio = ratio.where(frame["a"].notna() & frame["b"].notna())
    results = {"add": frame["a"] + frame["b"], "subtract": frame["a"] - frame["b"],
               "multiply": frame["a"] * frame["b"], "divide": ratio}  # fmt: skip
    for operation, wanted in results.items():
        step = Arithmetic(operation, None, by_zero)  # type: ignore[arg-type]
        np.testing.assert_array_equal(step.apply(a, b), wanted.to_numpy(np.float64))
        by_constant = Arithmetic(operation, 3.0, by_zero)  # type: ignore[arg-type]
        both = Arithmetic(operation, None, by_zero).apply(a, np.full(len(a), 3.0))  # type: ignore[arg-type]
        np.testing.assert_array_equal(by_constant.apply(a), both)


def test_an_integer_is_missing_in_arithmetic() -> None:
    step = Arithmetic("divide", None, 0.0)
    integers, zeros = np.array([4, NULL_INT64, NULL_INT64]), np.array([0, 0, 2])
    np.testing.assert_array_equal(step.apply(integers, zeros), [0.0, math.nan, math.nan])
    by_zero = Arithmetic("divide", 0.0, 5.0)
    np.testing.assert_array_equal(by_zero.apply(np.array([1.0, math.nan])), [5.0, math.nan])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(WORDS, max_size=100), st.none() | st.integers(-3, 3), st.none() | st.integers(-3, 3)
)
def test_text_is_that_of_pandas(words: list[str], start: int | None, stop: int | None) -> None:
    values, series = texts(words), pd.Series(words, dtype=object)
    lower = series.str.lower().tolist() if words else []
    assert strings(text.Lowercase().apply(values)) == lower  # type: ignore[arg-type]
    sliced = series.str.slice(start, stop).tolist() if words else []
    assert strings(text.Substring(start, stop).apply(values)) == sliced  # type: ignore[arg-type]
    counts = [word.count("a") if word else NULL_INT64 for word in words]
    assert text.CountSubstring("a").apply(values).tolist() == counts  # type: ignore[union-attr]
    lengths = [len(word) or NULL_INT64 for word in words]
    assert text.TextLength().apply(values).tolist() == lengths  # type: ignore[union-attr]
    index = start or 0
    parts = [series.str.split("a").str.get(index)[n] for n in range(len(words))]
    wanted = [part if isinstance(part, str) else "" for part in parts]
    assert strings(text.SplitPart("a", index).apply(values)) == wanted  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [1, 100])
def test_bytes_that_are_not_utf_8_are_kept(rows: int) -> None:
    values = Text.from_objects([b"A\xffB"] * rows)
    assert text.Lowercase().apply(values).to_objects().tolist() == [b"a\xffb"] * rows  # type: ignore[union-attr]
    assert text.Substring(1, 2).apply(values).to_objects().tolist() == [b"\xff"] * rows  # type: ignore[union-attr]
    np.testing.assert_array_equal(Compare("==", "x").apply(values), [0.0] * rows)
    np.testing.assert_array_equal(IsIn(("x", "y")).apply(values), [0.0] * rows)


def test_casts() -> None:
    numbers = np.array([2.5, -2.5, 3.5, math.nan, math.inf, 2.0**63, -(2.0**63), 1e300])
    missing = [NULL_INT64] * 5
    assert cast.ToInteger("floor").apply(numbers).tolist() == [2, -3, 3, *missing]
    assert cast.ToInteger("nearest").apply(numbers).tolist() == [2, -2, 4, *missing]
    words = texts(["7", " +8.0", "9007199254740993.0", "1.5", "x", "", "1e999", "nan", "1_0"])
    whole = cast.ParseInteger().apply(words)
    assert whole.tolist() == [7, 8, 2**53 + 1, *[NULL_INT64] * 6]  # type: ignore[union-attr]
    reals = [7, 8, 2.0**53, 1.5, *[math.nan] * 5]
    np.testing.assert_array_equal(cast.ParseNumber().apply(words), reals)  # type: ignore[arg-type]
    assert strings(cast.ToText().apply(np.array([2**63 - 1, 0, NULL_INT64]))) == [
        str(2**63 - 1), "0", "",
    ]  # fmt: skip


def test_ids_of_a_range() -> None:
    step = RangeIds(-1, 1)
    edges = np.array([-2, -1, 1, 2, 2**63 - 1, -(2**63) + 1, NULL_INT64])
    assert step.apply(edges).tolist() == [2, 3, 5, 2, 2, 2, 1]
    assert step.ids == 6 and step.unseen_ids == range(2, 3)


STEPS = [
    DatePart("hour", -90), Seconds(None), Seconds(5), Sine(24.0), Cosine(7.0), Compare(">", 1.5),
    Compare("==", "a"), IsIn((1, 2)), Arithmetic("divide", None, 0.0), Arithmetic("add", 1.0, None),
    RangeIds(0, 23), text.Lowercase(), text.Substring(None, 2), text.SplitPart("|", -1),
    text.CountSubstring("|"), text.TextLength(), cast.ToNumber(), cast.ToInteger("floor"),
    cast.ParseNumber(), cast.ParseInteger(), cast.ToText(),
]  # fmt: skip


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.op)
def test_a_step_is_kept_in_a_plan(step: Any) -> None:
    assert step_from_json(step_to_json(step)) == step


@pytest.mark.parametrize("first", [-(2**63) + 1, 2**63 - 3])
def test_a_range_may_be_at_either_end_of_64_bits(first: int) -> None:
    values = np.array([first, first + 2, 0, NULL_INT64])
    assert RangeIds(first, first + 2).apply(values).tolist() == [3, 5, 2, 1]
