"""The unfitted plan of each operator, and refused parameters and column types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from plumbline.features.operators.bucketize import Bucketize
from plumbline.features.operators.categorify import FitCategorify
from plumbline.features.operators.clip import Clip
from plumbline.features.operators.fill_key import FillKey
from plumbline.features.operators.fill_median import FitMedian
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.operators.hash_bucket import HashBucket
from plumbline.features.operators.hashed_cross import HashedCross
from plumbline.features.operators.is_missing import IsMissing
from plumbline.features.operators.join_groupby import FitGroupStatistic
from plumbline.features.operators.list_length import ListLength as ListLengthStep
from plumbline.features.operators.list_slice import ListSlice
from plumbline.features.operators.log import Log
from plumbline.features.operators.normalize import FitNormalize
from plumbline.features.operators.normalize_min_max import FitNormalizeMinMax
from plumbline.features.operators.quantile_bucketize import FitQuantileBucketize
from plumbline.features.operators.quantile_transform import FitQuantileTransform
from plumbline.features.operators.target_encoding import FitTargetEncoding
from plumbline.features.steps.chains import Chain
from plumbline.nvtabular.compile import compile_unfitted
from plumbline.nvtabular.errors import UnsupportedOperator
from plumbline.nvtabular.library import Workflow, ops
from plumbline.nvtabular.operators.list_length import ListLength
from plumbline.nvtabular.operators.quantile_bucketize import QuantileBucketize
from plumbline.nvtabular.operators.quantile_transform import QuantileTransform

KINDS: dict[str, Any] = {
    "x": "continuous",
    "y": "continuous",
    "i": "integer",
    "h": "hex",
    "s": "string",
    "t": "string",
    "k": "integer_list",
    "w": "string_list",
}


def chains(graph: Any) -> dict[str, Chain]:
    outputs = compile_unfitted(Workflow(graph + "click"), KINDS).outputs
    return {column.name: column.chain for column in outputs}


def one(graph: Any) -> Chain:
    (chain,) = chains(graph).values()
    return chain


@pytest.mark.parametrize("name", ["x", "i"])
@pytest.mark.parametrize(
    ("operator", "step"),
    [
        (lambda: ops.FillMissing(2), FillMissing(2.0)),
        (lambda: ops.FillMissing(np.float32(0.5)), FillMissing(0.5)),
        (lambda: ops.FillMedian(), FitMedian()),
        (lambda: ops.Clip(min_value=-1), Clip(-1.0, None)),
        (lambda: ops.Clip(max_value=3), Clip(None, 3.0)),
        (lambda: ops.LogOp(), Log()),
        (lambda: ops.Normalize(), FitNormalize()),
        (lambda: ops.Normalize(out_dtype=np.float32), FitNormalize()),
        (lambda: ops.NormalizeMinMax(out_dtype="float64"), FitNormalizeMinMax()),
        (lambda: ops.Bucketize([0, 1.5, 1.5]), Bucketize((0.0, 1.5, 1.5))),
        (lambda: ops.Bucketize({"x": [], "i": []}), Bucketize(())),
        (lambda: ops.Bucketize(lambda name: [7]), Bucketize((7.0,))),
        (lambda: ops.HashBucket(9), HashBucket(9)),
        (lambda: QuantileBucketize(9), FitQuantileBucketize(9)),
        (lambda: QuantileTransform(9), FitQuantileTransform(9)),
    ],
)
def test_numbers(name: str, operator: Callable[[], Any], step: Any) -> None:
    assert one([name] >> operator()) == Chain((name,), (step,))


@pytest.mark.parametrize(
    "operator", [ops.FillMissing(0, add_binary_cols=True), ops.FillMedian(add_binary_cols=True)]
)
def test_filled_columns_have_flags(operator: Any) -> None:
    found = chains(["x", "y"] >> operator)
    assert set(found) == {"x", "y", "x_filled", "y_filled"}
    assert found["y_filled"] == Chain(("y",), (IsMissing(),))


def test_filled_keys() -> None:
    filled = FillKey(-1), FitCategorify()
    assert one(["i"] >> ops.FillMissing(-1) >> ops.Categorify()) == Chain(("i",), filled)
    twice = ["h"] >> ops.FillMissing(3) >> ops.FillMissing(4) >> ops.HashBucket(9)
    assert one(twice) == Chain(("h",), (FillKey(3), FillKey(4), HashBucket(9)))
    text = chains(["s"] >> ops.FillMissing("none", add_binary_cols=True) >> ops.HashBucket(9))
    assert text["s"] == Chain(("s",), (FillKey("none"), HashBucket(9)))
    assert text["s_filled"] == Chain(("s",), (IsMissing(), HashBucket(9)))


def test_parts_and_lengths_of_lists() -> None:
    part = ["k"] >> ops.ListSlice(-3) >> ops.ValueCount() >> ops.Categorify()
    assert one(part) == Chain(("k",), (ListSlice(-3, None, None, None), FitCategorify()))
    padded = ["w"] >> ops.ListSlice(1, 4, pad=True, pad_value="x") >> ops.HashBucket(9)
    assert one(padded) == Chain(("w",), (ListSlice(1, 4, 3, "x"), HashBucket(9)))
    ids = ["k"] >> ops.Categorify() >> ops.ListSlice(-5, -1, pad=True)
    assert one(ids) == Chain(("k",), (FitCategorify(), ListSlice(-5, -1, 4, 0)))
    assert one(["w"] >> ListLength()) == Chain(("w",), (ListLengthStep(),))


def test_output_types_change_nothing() -> None:
    assert one(["x"] >> ops.ReduceDtypeSize()) == Chain(("x",), ())
    assert one(["s"] >> ops.Categorify(search_sorted=True)) == Chain(("s",), (FitCategorify(),))
    assert one(["s"] >> ops.Categorify(dtype=np.int32)) == Chain(("s",), (FitCategorify(),))


def test_hash_bucket_by_column() -> None:
    found = chains(["s", "k"] >> ops.HashBucket({"s": 5, "k": 6}))
    assert found == {
        "s": Chain(("s",), (HashBucket(5),)),
        "k": Chain(("k",), (HashBucket(6),)),
    }


def test_hashed_cross_takes_all_selected_columns() -> None:
    step = HashedCross(9)
    assert chains([["i", "s"]] >> ops.HashedCross(9)) == {"i_X_s": Chain(("i", "s"), (step,))}
    assert chains([["i", "s"], ["i", "h"]] >> ops.HashedCross({("i", "s", "h"): 9})) == {
        "i_X_s_X_h": Chain(("i", "s", "h"), (step,))
    }


@pytest.mark.parametrize(
    ("parameters", "step"),
    [
        ({"freq_threshold": 3}, FitCategorify(3)),
        ({"freq_threshold": {"s": 4, "i": 1}}, FitCategorify(4)),
        ({"max_size": 10}, FitCategorify(0, limit=7)),
        ({"max_size": {"s": 3}}, FitCategorify(0, limit=0)),
        ({"max_size": 10, "num_buckets": 3}, FitCategorify(0, limit=5, num_buckets=3)),
        ({"num_buckets": {"s": 2}}, FitCategorify(num_buckets=2)),
    ],
)
def test_categorify_parameters(parameters: dict[str, Any], step: FitCategorify) -> None:
    assert one(["s"] >> ops.Categorify(**parameters)) == Chain(("s",), (step,))


def test_categorify_of_columns_that_share_a_vocabulary() -> None:
    parameters = {"num_buckets": {"s_t": 2, "i": 1}, "freq_threshold": {"s": 3, "i": 4}}
    found = chains([["s", "t"], "i"] >> ops.Categorify(**parameters))
    shared = FitCategorify(3, num_buckets=2, shared=("s", "t"))
    assert found == {
        "i": Chain(("i",), (FitCategorify(4),)),
        "s": Chain(("s",), (shared,)),
        "t": Chain(("t",), (shared,)),
    }
    assert set(chains([["s", "w"], ["i", "h", "k"]] >> ops.Categorify())) == {"s", "w"} | {*"ihk"}


def test_categorify_of_combinations() -> None:
    graph = [["i", "s"], "t"] >> ops.Categorify(
        encode_type="combo", freq_threshold={"i_s": 2, "t": 1}
    )
    assert chains(graph) == {
        "t": Chain(("t",), (FitCategorify(1),)),
        "i_s": Chain(("i", "s"), (FitCategorify(2),)),
    }


def test_join_groupby() -> None:
    operator = ops.JoinGroupby(cont_cols=["x", "i"], stats=["count", "mean", "std"])
    found = chains(["s", ["s", "t"]] >> operator)
    assert list(found) == [
        f"{group}_{end}"
        for group in ("s", "s_t")
        for end in ("count", "x_mean", "x_std", "i_mean", "i_std")
    ]
    assert found["s_count"] == Chain(("s",), (FitGroupStatistic("count", None),))
    assert found["s_t_i_std"] == Chain(("s", "t"), (FitGroupStatistic("std", "i"),))
    filled = ["x"] >> ops.FillMissing(0) >> ops.Rename(postfix="_f")
    of_node = chains(["s"] >> ops.JoinGroupby(cont_cols=filled, stats=["max"]))
    measured = Chain(("x",), (FillMissing(0.0),))
    assert of_node == {"s_x_f_max": Chain(("s",), (FitGroupStatistic("max", measured),))}
    counted = chains(["s"] >> ops.JoinGroupby())
    assert counted == {"s_count": Chain(("s",), (FitGroupStatistic("count", None),))}


def test_target_encoding() -> None:
    found = chains(["s", ["s", "i"]] >> ops.TargetEncoding(["click", "x"], kfold=5, p_smooth=1))
    step = FitTargetEncoding("click", smoothing=1.0, folds=5, seed=42)
    assert list(found) == ["TE_s_click", "TE_s_x", "TE_s_i_click", "TE_s_i_x"]
    assert found["TE_s_i_click"] == Chain(("s", "i"), (step,))
    parameters = {"kfold": 1, "fold_seed": None, "target_mean": {"click": 0.25}}
    named = chains(["s", "i"] >> ops.TargetEncoding("click", out_col=["S", "I"], **parameters))
    step = FitTargetEncoding("click", smoothing=20.0, folds=1, seed=0, mean=0.25)
    assert named == {"S": Chain(("s",), (step,)), "I": Chain(("i",), (step,))}


@pytest.mark.parametrize(
    ("before", "minimum"),
    [
        (lambda: ["s"] >> ops.Categorify(), 4),
        (lambda: ["s"] >> ops.Categorify() >> ops.ReduceDtypeSize(), 4),
        (lambda: ["s"] >> ops.HashBucket(9), 3),
        (lambda: ["x"] >> ops.Bucketize([1.0]), None),
        (lambda: [["s", "i"]] >> ops.HashedCross(9), None),
        (lambda: ["x"] >> ops.FillMissing(0), None),
    ],
)
def test_columns_of_low_cardinality_are_marked(before: Callable[[], Any], minimum: Any) -> None:
    """NVTabular compares `min_cardinality` with the largest id in the schema."""
    graph = before() >> ops.DropLowCardinality() >> ops.Rename(name="out")
    (column,) = compile_unfitted(Workflow(graph + "click"), KINDS).outputs
    assert (column.name, column.minimum_cardinality) == ("out", minimum)


def test_the_higher_of_two_marks_counts() -> None:
    graph = ["s"] >> ops.Categorify() >> ops.DropLowCardinality(9) >> ops.DropLowCardinality(5)
    (column,) = compile_unfitted(Workflow(graph), KINDS).outputs
    assert column.minimum_cardinality == 9


def te(**parameters: Any) -> Any:
    return ["s"] >> ops.TargetEncoding("click", **parameters)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (lambda: ["x"] >> ops.FillMissing("a"), r"'x' uses FillMissing\(fill_val='a'\)"),
        (lambda: ["x"] >> ops.FillMissing(float("nan")), r"FillMissing\(fill_val=nan\)"),
        (lambda: ["s"] >> ops.FillMissing(0), r"'s' uses FillMissing\(fill_val=0\)"),
        (lambda: ["s"] >> ops.FillMissing(""), r"FillMissing\(fill_val=''\)"),
        (lambda: ["w"] >> ops.FillMissing("a"), "'w' uses FillMissing on lists of texts"),
        (lambda: ["i"] >> ops.FillMissing(2**60) >> ops.Categorify(), "Categorify on number"),
        (lambda: ["s"] >> ops.ListSlice(2), "'s' uses ListSlice on text"),
        (lambda: ["k"] >> ops.ListSlice(0, pad=True), r"ListSlice\(pad=True\) without a length"),
        (lambda: ["k"] >> ops.ListSlice(2**20, pad=True), "to 1048576 elements.* up to 65536"),
        (lambda: ["k"] >> ops.ListSlice(2, pad=True, pad_value=0.5), r"\(pad_value=0.5\)"),
        (lambda: ["w"] >> ops.ListSlice(2, pad=True), r"ListSlice\(pad_value=0.0\)"),
        (
            lambda: ["w"] >> ops.Categorify() >> ops.ListSlice(2, pad=True, pad_value=3),
            r"ListSlice\(pad_value=3\)",
        ),
        (lambda: ["x"] >> ListLength(), "'x' uses ListLength on number"),
        (lambda: ["k"] >> ops.LogOp(), "'k' uses LogOp on lists of integers"),
        (
            lambda: (["x"] >> ops.Rename(name="i_filled")) + "i" >> ops.FillMissing(0, True),
            r"FillMissing\(add_binary_cols=True\) on both 'i' and 'i_filled'",
        ),
        (lambda: ["x"] >> ops.Clip(min_value=float("inf")), r"'x' uses Clip\(min_value=inf\)"),
        (lambda: ["x"] >> ops.Normalize(out_dtype="float16"), r"Normalize\(out_dtype='float16'\)"),
        (lambda: ["x"] >> ops.ReduceDtypeSize(np.float16), r"Size\(float_dtype='float16'\)"),
        (lambda: ["x"] >> ops.Bucketize([2, 1]), r"Bucketize\(boundaries=\[2.0, 1.0\]\)"),
        (lambda: ["x"] >> ops.Bucketize([np.nan]), r"Bucketize\(boundaries=nan\)"),
        (lambda: ["x"] >> ops.Bucketize({"y": [1]}), r"'x' uses Bucketize\(boundaries=None\)"),
        (lambda: ["s"] >> ops.Bucketize([1]), "'s' uses Bucketize on text"),
        (lambda: ["x"] >> ops.LogOp() >> ops.HashBucket(9), "HashBucket on computed numbers"),
        (lambda: ["s"] >> ops.HashBucket(0), r"'s' uses HashBucket\(num_buckets=0\)"),
        (lambda: [["s", "x"]] >> ops.HashedCross(9), "'s_X_x' uses HashedCross on number"),
        (lambda: [["s", "w"]] >> ops.HashedCross(9), "HashedCross on lists of texts"),
        (lambda: [["s", "i"]] >> ops.HashedCross({("s", "t"): 9}), r"Cross\(num_buckets=None\)"),
        (lambda: ["x"] >> ops.Categorify(), "'x' uses Categorify on number"),
        (lambda: [["s", "i"]] >> ops.Categorify(), "Categorify of integers and text together"),
        (
            lambda: [["i", "k"]] >> ops.Categorify(encode_type="combo"),
            "'i_k' uses Categorify on lists of integers",
        ),
        (lambda: ["s"] >> ops.Categorify(dtype=np.int16), r"Categorify\(dtype='int16'\)"),
        (lambda: ["s"] >> ops.Categorify(max_size=2), r"'s' uses Categorify\(max_size=2\)"),
        (lambda: ["s"] >> ops.Categorify(freq_threshold=1.5), r"fy\(freq_threshold=1.5\)"),
        (lambda: ["s"] >> ops.Categorify(num_buckets={"t": 3}), r"fy\(num_buckets={'t': 3}\)"),
        (lambda: ["x"] >> ops.JoinGroupby(), "'x_count' uses JoinGroupby on number"),
        (lambda: ["s"] >> ops.JoinGroupby("t", ["mean"]), "'s_t_mean' uses JoinGroupby on text"),
        (lambda: ["x"] >> ops.TargetEncoding("click"), "TargetEncoding on number"),
        (lambda: ["i"] >> ops.TargetEncoding("s"), "'TE_i_s' uses TargetEncoding on text"),
        (lambda: te(drop_folds=False), r"TargetEncoding\(drop_folds=False\)"),
        (lambda: te(out_dtype="int32"), r"TargetEncoding\(out_dtype='int32'\)"),
        (lambda: te(p_smooth=-1), r"TargetEncoding\(p_smooth=-1\)"),
        (lambda: te(target_mean={"x": 1.0}), r"TargetEncoding\(target_mean={'x': 1.0}\)"),
        (lambda: te(target_mean="a"), r"TargetEncoding\(target_mean='a'\)"),
        (
            lambda: ["s"] >> ops.Categorify() >> ops.DropLowCardinality() >> ops.HashBucket(9),
            "'s' uses DropLowCardinality before HashBucket",
        ),
        (lambda: ["x"] >> QuantileBucketize(0), r"QuantileBucketize\(buckets=0\)"),
        (lambda: ["x"] >> QuantileBucketize(2.5), r"QuantileBucketize\(buckets=2.5\)"),
        (lambda: ["x"] >> QuantileBucketize(2, 0), r"QuantileBucketize\(rows_each=0\)"),
        (lambda: ["x"] >> QuantileTransform(1), r"QuantileTransform\(knots=1\)"),
        (lambda: ["s"] >> QuantileTransform(), "'s' uses QuantileTransform on text"),
        (lambda: ["k"] >> QuantileBucketize(), "'k' uses QuantileBucketize on lists of integers"),
        (
            lambda: ["x"] >> ops.Normalize() >> QuantileBucketize(),
            "'x' uses QuantileBucketize on computed numbers",
        ),
    ],
)
def test_what_has_no_compiled_form_raises(graph: Callable[[], Any], message: str) -> None:
    with pytest.raises(UnsupportedOperator, match=message):
        chains(graph())


def test_a_target_may_be_an_integer_column() -> None:
    assert list(chains(["s"] >> ops.TargetEncoding(["i"], kfold=1))) == ["TE_s_i"]


@pytest.mark.parametrize("bounds", [(2, 1), (0, 0), (-1, -2)])
def test_a_slice_may_end_before_it_starts(bounds: tuple[int, int]) -> None:
    graph = ["l"] >> ops.ListSlice(*bounds) >> ops.HashBucket(5)
    (output,) = compile_unfitted(Workflow(graph + "click"), {"l": "integer_list"}).outputs
    assert len(output.chain.steps) == 2
