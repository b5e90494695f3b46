"""The graphs in `workflows/`, before they are fitted."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from plumbline.base.errors import ConfigError
from plumbline.columns.kinds import CLICK
from plumbline.features.operators.categorify import FitCategorify
from plumbline.features.operators.clip import Clip
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.operators.join_groupby import FitGroupStatistic
from plumbline.features.operators.log import Log
from plumbline.features.operators.normalize import FitNormalize
from plumbline.features.operators.normalize_min_max import FitNormalizeMinMax
from plumbline.features.operators.quantile_bucketize import FitQuantileBucketize
from plumbline.features.operators.quantile_transform import FitQuantileTransform
from plumbline.features.steps.chains import Chain
from plumbline.nvtabular.frames import merlin_input_schema
from plumbline.nvtabular.graph_file import graph_function
from plumbline.nvtabular.graphs import build
from plumbline.nvtabular.library import Tags
from plumbline.settings import WorkflowSettings

KINDS: dict[str, Any] = {
    "s": "string",
    "x": "continuous",
    "i": "integer",
    "y": "continuous",
    "l": "hex_list",
}
MANY_ROWS = 5_000


def compiled(graph: str, kinds: Any = KINDS, rows: int = MANY_ROWS, **options: Any) -> Any:
    plan = build(WorkflowSettings(graph=graph, options=options), kinds, rows).plan
    return {column.name: column.chain for column in plan.outputs}


FREQUENCY = (
    FitGroupStatistic("count", None),
    Log(),
    FitNormalizeMinMax(),
    Clip(0.0, 1.0),
)
SCORES = (FitQuantileTransform(64), FillMissing(0.0))


@pytest.mark.parametrize(
    ("graph", "options", "expected"),
    [
        (
            "criteo",
            {},
            (FillMissing(0.0), Clip(0.0, None), Log(), FitNormalize()),
        ),
        ("standard", {}, SCORES),
        ("standard", {"clip_max": 3}, (Clip(None, 3.0), *SCORES)),
        ("standard", {"fill": 0}, (FillMissing(0.0), *SCORES)),
        ("standard", {"normalize": True}, (FillMissing(0.0), FitNormalize())),
        (
            "standard",
            {"log": True, "clip_min": 0},
            (FillMissing(0.0), Clip(0.0, None), Log(), FitNormalize()),
        ),
        (
            "standard",
            {"fill": 2.5, "clip_min": 0, "clip_max": 3, "log": True, "normalize": False},
            (FillMissing(2.5), Clip(0.0, 3.0), Log()),
        ),
        ("standard", {"normalize": False}, (FillMissing(0.0),)),
    ],
)
def test_the_chain_on_continuous_columns(
    graph: str, options: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    chains = compiled(graph, **options)
    buckets = [] if graph == "criteo" else ["x_bucket", "y_bucket"]
    assert list(chains) == ["s", "i", "l", *buckets, "x", "y"]
    for name in ("x", "y"):
        assert chains[name] == Chain((name,), expected)
        if buckets:  # of the raw numbers
            assert chains[f"{name}_bucket"] == Chain((name,), (FitQuantileBucketize(64, 500),))


@pytest.mark.parametrize(
    ("graph", "options", "threshold"),
    [
        ("standard", {"frequency_threshold": 7}, 7),
        ("standard", {}, 2),
        ("criteo", {}, 15),
        ("criteo", {"frequency_threshold": 0}, 0),
    ],
)
def test_every_categorical_column_is_categorified(
    graph: str, options: dict[str, Any], threshold: int
) -> None:
    chains = compiled(graph, **options)
    for name in ("s", "i", "l"):
        assert chains[name] == Chain((name,), (FitCategorify(frequency_threshold=threshold),))


@pytest.mark.parametrize(
    ("options", "buckets"),
    [
        ({"buckets": 5}, 5),
        ({"buckets": 0}, 0),
        ({"bucket_columns": 1}, 0),
        ({"bucket_columns": 2}, 64),
    ],
)
def test_buckets_are_an_option(options: dict[str, int], buckets: int) -> None:
    chains = compiled("standard", **options)
    assert ("x_bucket" in chains) == bool(buckets)
    if buckets:
        assert chains["y_bucket"] == Chain(("y",), (FitQuantileBucketize(buckets, 500),))


def test_names_of_buckets_are_unique() -> None:
    kinds = {"x": "continuous", "x_bucket": "continuous", "x_bucket_": "string"}
    chains = compiled("standard", kinds)
    assert {name: chain.columns for name, chain in chains.items()} == {
        "x_bucket_": ("x_bucket_",),
        "x_bucket__": ("x",),
        "x_bucket_bucket": ("x_bucket",),
        "x": ("x",),
        "x_bucket": ("x_bucket",),
    }


def test_the_schema_is_tagged_for_merlin_models() -> None:
    graph = build(WorkflowSettings(graph="standard"), KINDS, MANY_ROWS)
    schema = graph.workflow.fit_schema(merlin_input_schema(KINDS)).output_schema
    categorical = ["s", "i", "l", "x_bucket", "y_bucket"]
    assert schema.select_by_tag(Tags.CATEGORICAL).column_names == categorical
    assert schema.select_by_tag(Tags.CONTINUOUS).column_names == ["x", "y"]
    assert CLICK not in schema.column_names  # the engine adds it


@pytest.mark.parametrize("kind", ["string", "integer", "hex", "boolean"])
def test_a_single_category_also_has_its_frequency(kind: Any) -> None:
    assert compiled("standard", {"s": kind}) == {
        "s": Chain(("s",), (FitCategorify(frequency_threshold=2),)),
        "s_count": Chain(("s",), FREQUENCY),
    }


@pytest.mark.parametrize(
    "kinds", [{"s": "string", "t": "string"}, {"s": "string", "l": "hex_list"}, {"x": "continuous"}]
)
def test_two_features_or_a_number_have_no_frequency(kinds: Any) -> None:
    assert not any(name.endswith("_count") for name in compiled("standard", kinds))


@pytest.mark.parametrize(
    ("rows", "options", "threshold"),
    [(4_999, {}, 0), (5_000, {}, 2), (10, {"frequency_threshold": 3}, 3)],
)
def test_a_log_of_few_rows_keeps_all_values(
    rows: int, options: dict[str, int], threshold: int
) -> None:
    chains = compiled("standard", rows=rows, **options)
    assert chains["s"] == Chain(("s",), (FitCategorify(threshold),))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bucket": 5}, "workflow.options: unknown option 'bucket', did you mean 'buckets'?"),
        ({"training_rows": 5}, "workflow.options: unknown option 'training_rows'"),
        ({"buckets": -1}, "workflow.options.buckets: wanted a number of at least 0, got -1"),
        ({"bucket_rows": "x"}, "workflow.options.bucket_rows: wanted a whole number, got 'x'"),
        ({"log": 2.5}, "workflow.options.log: wanted true or false, got 2.5"),
        ({"fill": []}, "workflow.options.fill: wanted a number, got a list"),
        (
            {"fill": "y", "kinds": 1},
            "fill: wanted a number, got 'y'; workflow.options: unknown option 'kinds'",
        ),
        (
            {"log": True, "clip_min": -1.0},
            r"ValueError: log wants a clip_min above -1, got -1.0 (standard.py, line ",
        ),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as error:
        build(WorkflowSettings(graph="standard", options=options), KINDS, MANY_ROWS)
    assert str(error.value).startswith("workflow.graph 'standard': ")
    assert "\n" not in str(error.value)


def test_the_page_of_the_standard_graph_has_every_option() -> None:
    page = (Path(__file__).parents[2] / "docs/standard_graph.md").read_text(encoding="utf-8")
    table = page.partition("## Options")[2].partition("\n## ")[0]
    with graph_function("standard") as graph:
        parameters = inspect.signature(graph.function).parameters
    documented = {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row[:40])}
    assert documented >= parameters.keys() - {"kinds", "training_rows"}
