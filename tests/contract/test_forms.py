"""Each form of an operator compiles, or is refused by name.

Forms of the operators and parameters that NVTabular's own unit tests use, on columns of every kind;
some also on ids. What compiles runs alike in all executors (test_engines.py); no form may end in an
error that is not for a user.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from plumbline.base.errors import PlanError
from plumbline.nvtabular.compile import compile_unfitted
from plumbline.nvtabular.errors import UnsupportedOperator
from plumbline.nvtabular.library import ColumnSelector, Subgraph, Tags, Workflow, ops

KINDS: dict[str, Any] = {
    "x": "continuous",
    "id": "integer",
    "h": "hex",
    "b": "boolean",
    "s": "string",
    "t": "time",
    "l": "integer_list",
    "w": "string_list",
}

COLUMNS: list[list[Any]] = [[name] for name in KINDS]
COLUMNS += [
    ["id", "s"],
    [["id", "h"]],
    [["id", "h"], "s"],
    [["s", "w"]],
    [["l", "id"]],
    ["x", "id"],
]

OPERATORS: dict[str, Callable[[], Any]] = {
    "fill zero": lambda: ops.FillMissing(0),
    "fill flags": lambda: ops.FillMissing(5, add_binary_cols=True),
    "fill text": lambda: ops.FillMissing("none"),
    "fill nothing": lambda: ops.FillMissing(None),
    "median": lambda: ops.FillMedian(add_binary_cols=True),
    "clip": lambda: ops.Clip(min_value=1, max_value=3),
    "log": ops.LogOp,
    "normalize": ops.Normalize,
    "minmax": ops.NormalizeMinMax,
    "bucketize": lambda: ops.Bucketize({"x": [0, 1], "id": [2]}),
    "bucketize all": lambda: ops.Bucketize(lambda _: [0, 1]),
    "hash": lambda: ops.HashBucket(10),
    "hash by name": lambda: ops.HashBucket({"id": 4, "s": 5}),
    "cross": lambda: ops.HashedCross(10),
    "ids": ops.Categorify,
    "ids rare": lambda: ops.Categorify(freq_threshold={"id": 2, "s": 3}),
    "ids few": lambda: ops.Categorify(max_size=5, num_buckets=2),
    "ids too few": lambda: ops.Categorify(max_size=2),
    "ids combined": lambda: ops.Categorify(encode_type="combo"),
    "ids sorted": lambda: ops.Categorify(search_sorted=True),
    "ids in a table": lambda: ops.Categorify(single_table=True),
    "ids of a type": lambda: ops.Categorify(dtype="int8"),
    "drop": lambda: ops.DropLowCardinality(3),
    "count": ops.JoinGroupby,
    "statistics": lambda: ops.JoinGroupby(cont_cols=["x"], stats=["mean", "std", "min"]),
    "statistics of text": lambda: ops.JoinGroupby(cont_cols=["s"], stats=["mean"]),
    "targets": lambda: ops.TargetEncoding("click", kfold=3, p_smooth=2),
    "targets of folds": lambda: ops.TargetEncoding("click", kfold=3, drop_folds=False),
    "targets by name": lambda: ops.TargetEncoding(["click", "x"], out_col=[["a", "c"]]),
    "lambda": lambda: ops.LambdaOp(lambda column: column),
    "filter": lambda: ops.Filter(lambda frame: frame),
    "dropna": ops.Dropna,
    "first": lambda: ops.ListSlice(2),
    "last padded": lambda: ops.ListSlice(-2, pad=True),
    "value count": ops.ValueCount,
    "lag": lambda: ops.DifferenceLag("id"),
    "groupby": lambda: ops.Groupby(["id"], aggs={"x": ["mean"]}),
    "rename": lambda: ops.Rename(postfix="_1"),
    "rename one": lambda: ops.Rename(name="one"),
    "tags": lambda: ops.AddTags([Tags.USER]),
    "user": ops.TagAsUserID,
    "smaller": ops.ReduceDtypeSize,
}

BEFORE: list[Callable[[], Any]] = [ops.Categorify, lambda: ops.FillMissing(0)]
"""Operators before one, on the selections `AFTER_ANOTHER`."""

AFTER_ANOTHER: list[list[Any]] = [["id"], ["l"]]


@pytest.mark.parametrize("name", OPERATORS)
def test_a_form_compiles_or_is_refused_by_name(name: str) -> None:
    compiled = 0
    nodes = [ColumnSelector(columns) for columns in COLUMNS]
    nodes += [columns >> before() for before, columns in product(BEFORE, AFTER_ANOTHER)]
    for node in nodes:
        try:
            plan = compile_unfitted(Workflow((node >> OPERATORS[name]()) + ["click"]), KINDS)
        except (PlanError, UnsupportedOperator) as error:
            assert "\n" not in str(error)
        else:
            compiled += bool(plan.outputs)
    refused = {"fill text", "lambda", "filter", "lag", "groupby", "fill nothing"}
    refused |= {"ids too few", "ids of a type", "statistics of text"}
    refused |= {"targets of folds"}
    assert bool(compiled) == (name not in refused), compiled


def test_named_parts_and_selections() -> None:
    ids = ["id", "s"] >> ops.Categorify()
    for graph in (
        Subgraph("a", ids) + Subgraph("b", ["x"] >> ops.LogOp()),
        ids["s"] + "click",
        ids - ["s"],
        ids + ((["x"] >> ops.LogOp()) + "click"),
        ColumnSelector(tags=[Tags.CONTINUOUS]) >> ops.Normalize(),
    ):
        assert compile_unfitted(Workflow(graph), KINDS).outputs
