"""Expressions in graphs: names, types, refusals, and a plain NVTabular workflow on pandas."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from plumbline import expressions
from plumbline.base.errors import PlanError
from plumbline.expressions import (
    Add,
    Cast,
    Compare,
    CountSubstring,
    DatePart,
    Divide,
    IsIn,
    Lowercase,
    RangeIds,
    SecondsBetween,
    SecondsSince,
    Sine,
    SplitPart,
    Substring,
    Subtract,
)
from plumbline.features.operators.compare import Compare as CompareStep
from plumbline.features.operators.seconds import Seconds
from plumbline.features.plan.unfitted import UnfittedPlan
from plumbline.nvtabular.compile import compile_unfitted
from plumbline.nvtabular.errors import UnsupportedOperator
from plumbline.nvtabular.library import Dataset, Serial, Workflow, ops
from plumbline.nvtabular.operators import SUPPORTED, purposes
from plumbline.nvtabular.patched import set_folder
from plumbline.nvtabular.quiet import quiet

KINDS: dict[str, Any] = {
    "t": "time", "u": "time", "x": "continuous", "y": "continuous", "i": "integer", "s": "string",
    "l": "integer_list",
}  # fmt: skip


def compiled(graph: Any) -> UnfittedPlan:
    return compile_unfitted(Workflow(graph + "click"), KINDS)


def test_every_expression_is_an_operator_with_a_purpose() -> None:
    names = {*expressions.__all__} - {"Where"}  # a condition
    assert names <= {*SUPPORTED}
    assert all(purposes()[name] for name in names)
    assert purposes()["Sine"] == "sin(2π x / period)"


@pytest.mark.parametrize(
    ("graph", "names"),
    [
        (lambda: ["t"] >> DatePart("hour", "day_of_week") >> ops.Categorify(),
         ["t_hour", "t_day_of_week"]),
        (lambda: ["t", "u"] >> SecondsBetween(), ["t_to_u"]),
        (lambda: ["t", "u"] >> SecondsBetween("delay"), ["delay"]),
        (lambda: ["x", "y"] >> Divide(), ["x_by_y"]),
        (lambda: ["x", "i"] >> Subtract(name="less"), ["less"]),
        (lambda: ["x", "y"] >> Add(1), ["x", "y"]),
    ],
)  # fmt: skip
def test_names_of_results(graph: Callable[[], Any], names: list[str]) -> None:
    assert [output.name for output in compiled(graph()).outputs] == names


def test_constants_fit_the_column() -> None:
    def step(graph: Any) -> Any:
        return compiled(graph).outputs[0].chain.steps[-1]

    wanted = CompareStep("<", 86_400_000_000)
    moment = datetime(1970, 1, 2, 2, tzinfo=timezone(timedelta(hours=2)))
    for instant in ("1970-01-02", date(1970, 1, 2), moment):
        assert step(["t"] >> Compare("<", instant)) == wanted
    assert step(["i"] >> Compare("==", 2**60 + 1)) == CompareStep("==", 2**60 + 1)
    assert step(["x"] >> Compare("==", 2)) == CompareStep("==", 2.0)
    assert step(["t"] >> SecondsSince("1970-01-01T00:00:01Z")) == Seconds(1_000_000)


def test_numpys_scalars_are_constants() -> None:
    def step(graph: Any) -> Any:
        return compiled(graph).outputs[0].chain.steps[-1]

    for numpys, own in (
        (["i"] >> Compare("==", np.int64(3)), ["i"] >> Compare("==", 3)),
        (["x"] >> Compare("<", np.float32(2.5)), ["x"] >> Compare("<", 2.5)),
        (["i"] >> IsIn(np.array([1, 2])), ["i"] >> IsIn([1, 2])),
        (["x"] >> Add(np.float32(0.5)), ["x"] >> Add(0.5)),
        (["x"] >> Sine(np.int64(24)), ["x"] >> Sine(24)),
        (["i"] >> RangeIds(np.int64(0), np.int64(9)), ["i"] >> RangeIds(0, 9)),
    ):
        assert step(numpys) == step(own)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (lambda: ["t"] >> ops.Categorify(), "Categorify on time.*integers of them with DatePart"),
        (lambda: ["t"] >> ops.LogOp(), "LogOp on time.*numbers with SecondsBetween"),
        (lambda: ["t"] >> ops.Rename(postfix="_"), "time without an operator.*with DatePart"),
        (
            lambda: ["i"] >> DatePart("hour"),
            "DatePart on integer.*declare .* {kind: time",
        ),
        (lambda: ["s"] >> DatePart("hour"), "DatePart on text.*takes times"),
        (lambda: ["i"] >> Lowercase(), "Lowercase on integer.*put Cast\\('text'\\) before it"),
        (lambda: ["t"] >> DatePart("hour"), "integer without an operator"),
        (lambda: ["s"] >> Lowercase(), "text without an operator"),
        (lambda: ["x"] >> RangeIds(0, 9), "RangeIds on number"),
        (lambda: ["l"] >> Add(1), "Add on lists of integers"),
        (lambda: ["s"] >> Sine(24), "Sine on text"),
        (lambda: ["x"] >> Compare("==", "a"), "wanted a finite number of 64 bits, got 'a'"),
        (lambda: ["s"] >> Compare("==", 1), "wanted text to compare text with, got 1"),
        (lambda: ["t"] >> Compare("==", "soon"), "wanted an instant such as .*, got 'soon'"),
        (lambda: ["i"] >> Compare(">", "2024-01-01"), "finite number of 64 bits, got '2024-01-01'"),
        (lambda: ["s"] >> Compare("==", ""), "text with, not empty, got ''"),
        (lambda: ["s"] >> IsIn(["\ud800"]), r"text with in UTF-8, got '\\ud800'"),
        (lambda: ["s"] >> ops.FillMissing("\ud800") >> ops.Categorify(), r"fill_val='\\ud800'"),
        (lambda: ["i"] >> IsIn([2**63]), f"wanted a finite number of 64 bits, got {2**63}"),
        (lambda: ["x"] >> Cast("text"), "cast it to an integer first"),
        (lambda: ["s"] >> Cast("text"), "the column is text already"),
    ],
)
def test_what_does_not_fit_is_refused(graph: Callable[[], Any], message: str) -> None:
    with pytest.raises(UnsupportedOperator, match=message):
        compiled(graph())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DatePart(), "wanted a part, one of year"),
        (lambda: DatePart("weekday"), "no part 'weekday'"),
        (lambda: DatePart("hour", utc_offset="CET"), "utc_offset such as '\\+02:00', got 'CET'"),
        (lambda: SecondsSince("now"), "wanted an instant"),
        (lambda: Sine(0), "wanted a period above 0, got 0"),
        (lambda: Compare("=", 1), "one of == != < <= > >=, got '='"),
        (lambda: IsIn("ab"), "wanted a list of constants, got 'ab'"),
        (lambda: Add(math.nan), "wanted a finite number as constant, got nan"),
        (lambda: Add(1, name="x"), "name is for the result of two columns"),
        (lambda: Divide(by_zero=math.inf), "wanted a finite number as by_zero"),
        (lambda: RangeIds(3, 2), "the first below the last"),
        (lambda: RangeIds(0, 2**40), "too many ids"),
        (lambda: Cast("int"), "wanted number, integer, text, got 'int'"),
        (lambda: Cast("integer", "up"), "wanted rounding floor or nearest"),
        (lambda: Substring("a"), "wanted positions, got 'a'"),
        (lambda: SplitPart("", 0), "wanted a separator"),
        (lambda: CountSubstring(""), "wanted a text to count"),
        (lambda: SplitPart("\ud800", 0), "wanted a separator in UTF-8"),
        (lambda: CountSubstring("\ud800"), "wanted a text to count in UTF-8"),
        (lambda: ["x", "y", "i"] >> Add(), "wanted two columns, got 3: x, y, i"),
        (lambda: ["t"] >> SecondsBetween(), "wanted two columns, got 1: t"),
    ],
)
def test_wrong_parameters_raise_where_the_graph_is_made(
    make: Callable[[], Any], message: str
) -> None:
    with pytest.raises((ValueError, PlanError), match=message):
        graph = make()
        compiled(graph)


def test_a_plain_workflow_of_nvtabular_takes_datetimes(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "t": pd.to_datetime(["2024-02-29 23:30", None, "1969-12-31 00:00"]),
            "u": pd.to_datetime(["2024-03-01", None, "1970-01-01"]).tz_localize("UTC"),
            "x": np.array([1.5, math.nan, -2.0], np.float32),
            "y": [0.0, 1.0, 4.0],
            "s": ["A|b", None, "É"],
        }
    )
    parts = ["t"] >> DatePart("day", "weekend", utc_offset="+01:00")
    text = (["s"] >> Lowercase() >> ops.Rename(name="lower")) + (
        ["s"] >> SplitPart("|", 1) >> ops.Categorify() >> ops.Rename(name="part")
    )
    numbers = (["t", "u"] >> SecondsBetween("s_t_u")) + (["x", "y"] >> Divide(by_zero=9.0))
    flags = (["t"] >> Compare("<", "1970-01-01") >> ops.Rename(name="old")) + (
        ["s"] >> IsIn(["É"]) >> ops.Rename(name="is_e")
    )
    logs = parts["t_day"] >> Cast("number") >> ops.LogOp() >> ops.Rename(name="log")
    workflow = Workflow(parts + text + numbers + flags + logs)
    set_folder(workflow, tmp_path)
    with quiet(), Serial():
        result = workflow.fit_transform(Dataset(frame, cpu=True)).to_ddf().compute()
    wanted: dict[str, list[Any]] = {
        "t_day": [1, None, 31],
        "t_weekend": [0, None, 0],
        "lower": ["a|b", None, "é"],
        "part": [3, 1, 1],
        "s_t_u": [1800.0, None, 86400.0],
        "x_by_y": [9.0, None, -0.5],
        "old": [0.0, None, 1.0],
        "is_e": [0.0, None, 1.0],
        "log": [np.float32(np.log(2.0)), None, np.float32(np.log(32.0))],
    }
    for name, values in wanted.items():
        actual = [None if pd.isna(value) else value for value in result[name]]
        assert actual == pytest.approx(values), name
