"""Compiling a graph: chains of the outputs, names, branches, groups, and refusals."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plumbline.base.errors import PlanError
from plumbline.expressions import Where
from plumbline.features.operators.bucketize import Bucketize
from plumbline.features.operators.categorify import FitCategorify
from plumbline.features.operators.clip import Clip
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.operators.hashed_cross import HashedCross
from plumbline.features.operators.log import Log
from plumbline.features.operators.normalize import FitNormalize
from plumbline.features.plan.plan import InputColumn
from plumbline.features.plan.unfitted import UnfittedColumn, UnfittedPlan
from plumbline.features.steps.chains import Chain
from plumbline.nvtabular.compile import compile_fitted, compile_unfitted
from plumbline.nvtabular.engine import NVTabularEngine
from plumbline.nvtabular.errors import UnsupportedOperator
from plumbline.nvtabular.frames import merlin_input_schema
from plumbline.nvtabular.library import ColumnSelector, Tags, Workflow, ops

KINDS: dict[str, Any] = {
    "x": "continuous",
    "y": "continuous",
    "s": "string",
    "t": "string",
    "i": "integer",
    "l": "integer_list",
}


def compiled(graph: Any) -> UnfittedPlan:
    return compile_unfitted(Workflow(graph), KINDS)


def chains(graph: Any) -> dict[str, Chain]:
    return {column.name: column.chain for column in compiled(graph).outputs}


def test_a_chain_over_several_columns_subsets_and_renames() -> None:
    numbers = ["x", "y"] >> ops.FillMissing(2.0) >> ops.LogOp()
    normal = numbers["x"] >> ops.Normalize() >> ops.Rename(name="x_log")
    plan = compiled(normal + (["s"] >> ops.Categorify()) + ["y", "click"])
    assert plan.inputs == tuple(InputColumn(name, KINDS[name]) for name in ("x", "y", "s"))
    assert plan.outputs == (
        UnfittedColumn("x_log", Chain(("x",), (FillMissing(2.0), Log(), FitNormalize()))),
        UnfittedColumn("s", Chain(("s",), (FitCategorify(),))),
        UnfittedColumn("y", Chain(("y",), ())),
    )


def test_a_column_may_be_used_twice() -> None:
    raw = ["y"] >> ops.Rename(postfix="_raw")
    clipped = ["y"] >> ops.Clip(min_value=1, max_value=2)
    assert chains(raw + clipped + ["click"]) == {
        "y_raw": Chain(("y",), ()),
        "y": Chain(("y",), (Clip(1.0, 2.0),)),
    }


def test_columns_may_be_renamed_before_other_operators() -> None:
    swapped = ["x", "y"] >> ops.Rename(f=lambda name: {"x": "y", "y": "x"}[name])
    filled = swapped >> ops.FillMissing(1.0) >> ops.Rename(f=str.upper)
    assert chains(filled + "click") == {
        "Y": Chain(("x",), (FillMissing(1.0),)),
        "X": Chain(("y",), (FillMissing(1.0),)),
    }


def test_columns_are_selected_by_tag_and_left_out_by_subtraction() -> None:
    numbers = ColumnSelector(tags=[Tags.CONTINUOUS]) >> ops.FillMissing(0.0)
    ids = ColumnSelector(tags=[Tags.CATEGORICAL]) >> ops.Categorify()
    assert list(chains(numbers + ids)) == ["x", "y", "s", "t", "i", "l"]
    assert list(chains((numbers + ids) - ["y", "t"])) == ["x", "s", "i", "l"]
    labels = ColumnSelector(tags=[Tags.TARGET])
    assert list(chains(numbers + labels)) == ["x", "y"]


def test_tags_and_properties_change_nothing() -> None:
    tagged = ["s"] >> ops.TagAsUserID() >> ops.AddProperties({"p": 1}) >> ops.Categorify()
    graph = tagged >> ops.AddTags([Tags.USER]) >> ops.TagAsItemFeatures() >> ops.AddMetadata()
    assert chains(graph) == {"s": Chain(("s",), (FitCategorify(),))}


def test_a_cross_may_use_another_operators_ids() -> None:
    bucket = ["x"] >> ops.Bucketize([0.0]) >> ops.Rename(name="b")
    crossed = (bucket + "s") >> ops.HashedCross(9)
    of_x = Chain(("x",), (Bucketize((0.0,)),))
    assert chains(crossed + "click") == {"b_X_s": Chain((of_x, "s"), (HashedCross(9),))}


def test_removed_inputs_are_left_out() -> None:
    filled = ["x", "y"] >> ops.FillMissing(0.0) >> ops.Rename(postfix="_f")
    workflow = Workflow(filled + (["s"] >> ops.Categorify()) + ["click"])
    workflow.fit_schema(merlin_input_schema(KINDS)).remove_inputs(["click", "x"])
    plan = compile_unfitted(workflow, KINDS)
    assert [column.name for column in plan.outputs] == ["y_f", "s"]


def test_the_workflow_itself_is_not_changed() -> None:
    node = ["s"] >> ops.Categorify()
    compiled(node)
    assert type(node.op) is ops.Categorify
    assert node.output_schema is None


def test_columns_that_nvtabular_has_dropped_raise() -> None:
    ids = ["s"] >> ops.Categorify()
    buckets = ["i"] >> ops.HashBucket(99)
    workflow = Workflow((ids + buckets) >> ops.DropLowCardinality(4))
    assert [column.name for column in compile_unfitted(workflow, KINDS).outputs] == ["s", "i"]
    workflow.fit_schema(merlin_input_schema(KINDS))
    with pytest.raises(PlanError, match="DropLowCardinality has dropped 's' already"):
        compile_unfitted(workflow, KINDS)


class Doubled(ops.LogOp):
    """A subclass may compute something else."""


@pytest.mark.parametrize(
    ("graph", "message", "remedy"),
    [
        (
            lambda: ["x"] >> ops.LambdaOp(abs),
            "'x' uses LambdaOp, which has no",
            "cannot run Python",
        ),
        (
            lambda: ["x"] >> ops.LogOp() >> (lambda x: x),
            "Column 'x' uses LambdaOp",
            "expressions: DatePart",
        ),
        (lambda: ["x"] >> ops.DifferenceLag("i"), "'x_difference_lag_1' uses DifferenceL", "row"),
        (lambda: ["x"] >> ops.Filter(abs), "Column 'x' uses Filter", "Where('price', '>', 0)"),
        (lambda: ["x"] >> ops.Filter(Where("y", ">", 0)), "Filter by 'y'", "that Filter selects"),
        (lambda: ["s"] >> ops.Filter(Where("s", ">", 0)), "Filter by 's'", "text to compare text"),
        (
            lambda: ["x"] >> ops.Normalize() >> ops.Filter(Where("x", ">", 0)),
            "'x' uses Filter on learned values",
            "Put Filter before the operators that learn",
        ),
        (lambda: ["l"] >> ops.Dropna(), "'l' uses Dropna on lists", "A missing list is an empty"),
        (
            lambda: ["i", "s"] >> ops.Groupby(["i"], aggs={"s": "list"}),
            "uses Groupby",
            "as a list column: kind integer_list",
        ),
        (
            lambda: ["x"] >> Doubled(),
            "Column 'x' uses Doubled, which has no",
            "Replace it in the w",
        ),
        (lambda: ["s"], "'s' uses text without an operator that makes ids of it", "or HashBucket"),
        (
            lambda: ["i"],
            "Column 'i' uses integer without an operator that makes ids of it",
            "Give the column the kind continuous in the configuration if it is a number, or make "
            "ids of it with Categorify or HashBucket.",
        ),
        (lambda: ["l"], "'l' uses lists of integers without an operator", "Categorify or HashB"),
        (
            lambda: ["i"] >> ops.FillMissing(0.5) >> ops.Categorify(),
            "'i' uses Categorify on number",
            "ids of the numbers with Bucketize",
        ),
        (
            lambda: ["s"] >> ops.Categorify() >> ops.FillMissing(),
            "'s' uses FillMissing on ids",
            "Categorify gives missing values an id of their own, so leave it out.",
        ),
        (lambda: ["x"] >> ops.FillMissing("0"), r"FillMissing\(fill_val='0'\)", "finite number"),
        (lambda: ["s"] >> ops.Normalize(), "'s' uses Normalize on text", "the kind continuous"),
        (lambda: ["s"] >> ops.Categorify() >> ops.Normalize(), "Normalize on ids", "have no order"),
    ],
)
def test_what_has_no_compiled_form_raises(
    graph: Callable[[], Any], message: str, remedy: str
) -> None:
    with pytest.raises(UnsupportedOperator, match=message) as error:
        compiled((graph() >> ops.AddMetadata()) + ["click"])
    text = str(error.value)
    assert remedy in text and "\n" not in text
    assert text.endswith(" `plumbline operators` lists the operators that have one.")


def test_a_workflow_that_is_not_fitted_raises(tmp_path: Any) -> None:
    with pytest.raises(PlanError, match="The workflow is not fitted"):
        compile_fitted(Workflow(["x"] >> ops.FillMissing(0)), KINDS, tmp_path)
    workflow = Workflow(["x"] >> ops.Normalize()).fit_schema(merlin_input_schema(KINDS))
    with pytest.raises(PlanError, match="Column 'x': Normalize is not fitted"):
        compile_fitted(workflow, KINDS, tmp_path)


def test_the_click_passes_through_unchanged() -> None:
    with pytest.raises(PlanError, match="'click' reads 'click': wanted a feature column"):
        compiled(["click", "x"] >> ops.FillMissing(0))
    with pytest.raises(PlanError, match="'c' reads 'click': wanted a feature column"):
        compiled(["click"] >> ops.Rename(name="c"))


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (lambda: ["price"] >> ops.LogOp(), "There is no feature 'price'; did you mean 'prices'?"),
        (
            lambda: ["i"] >> ops.JoinGroupby(cont_cols=["q"]),
            "There is no feature 'q'; known",
        ),
        (lambda: (["prices"] >> ops.LogOp())["pricse"], "column to select named 'pricse'; did you"),
        (
            lambda: (["i", "prices"] >> ops.Clip(1)) - ["price"],
            "to subtract named 'price'; did you",
        ),
    ],
)
def test_a_column_that_does_not_exist_raises(
    graph: Callable[[], Any], message: str, tmp_path: Path
) -> None:
    kinds: dict[str, Any] = {"prices": "continuous", "i": "integer"}
    engine = NVTabularEngine("cpu", None)
    for compiling in (
        lambda workflow: compile_unfitted(workflow, kinds),
        lambda workflow: engine.fit_transform(workflow, kinds, {}, tmp_path, print),
    ):
        with pytest.raises(PlanError, match=re.escape(message)) as error:
            compiling(Workflow(graph()))
        assert "\n" not in str(error.value)


def test_a_column_that_is_not_a_feature_raises() -> None:
    workflow = Workflow(["y"] >> ops.FillMissing(0)).fit_schema(merlin_input_schema(KINDS))
    with pytest.raises(PlanError, match="There is no feature 'y'; known: click, x"):
        compile_unfitted(workflow, {"x": "continuous"})
