"""The graphs that a configuration can name, before they are fitted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

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
from plumbline.nvtabular.compile import compile_unfitted
from plumbline.nvtabular.frames import merlin_input_schema
from plumbline.nvtabular.graphs import build
from plumbline.nvtabular.library import Tags, Workflow
from plumbline.settings import CriteoWorkflow, StandardWorkflow

KINDS: dict[str, Any] = {
    "s": "string",
    "x": "continuous",
    "i": "integer",
    "y": "continuous",
    "l": "hex_list",
}


def built(settings: CriteoWorkflow | StandardWorkflow) -> Workflow:
    return build(KINDS, settings, Path("unused")).fit_schema(merlin_input_schema(KINDS))


def compiled(settings: CriteoWorkflow | StandardWorkflow) -> dict[str, Chain]:
    plan = compile_unfitted(build(KINDS, settings, Path("unused")), KINDS)
    return {column.name: column.chain for column in plan.outputs}


FREQUENCY = (
    FitGroupStatistic("count", None),
    Log(),
    FitNormalizeMinMax(),
    Clip(0.0, 1.0),
)
SCORES = (FitQuantileTransform(64), FillMissing(0.0))


def standard(**settings: Any) -> StandardWorkflow:
    return StandardWorkflow(graph="standard", **settings)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            CriteoWorkflow(graph="criteo"),
            (FillMissing(0.0), Clip(0.0, None), Log(), FitNormalize()),
        ),
        (standard(), SCORES),
        (standard(clip_max=3), (Clip(None, 3.0), *SCORES)),
        (standard(fill=0), (FillMissing(0.0), *SCORES)),
        (standard(normalize=True), (FillMissing(0.0), FitNormalize())),
        (
            standard(log=True, clip_min=0),
            (FillMissing(0.0), Clip(0.0, None), Log(), FitNormalize()),
        ),
        (
            standard(fill=2.5, clip_min=0, clip_max=3, log=True, normalize=False),
            (FillMissing(2.5), Clip(0.0, 3.0), Log()),
        ),
        (standard(normalize=False), (FillMissing(0.0),)),
    ],
)
def test_the_chain_on_continuous_columns(settings: Any, expected: tuple[Any, ...]) -> None:
    found = compiled(settings)
    buckets = [] if settings.graph == "criteo" else ["x_bucket", "y_bucket"]
    assert list(found) == ["s", "i", "l", *buckets, "x", "y"]
    for name in ("x", "y"):
        assert found[name] == Chain((name,), expected)
        if buckets:  # of the numbers as they came, missing ones apart
            assert found[f"{name}_bucket"] == Chain((name,), (FitQuantileBucketize(64, 500),))


def test_every_categorical_column_is_categorified() -> None:
    found = compiled(standard(frequency_threshold=7))
    for name in ("s", "i", "l"):
        assert found[name] == Chain((name,), (FitCategorify(frequency_threshold=7),))


@pytest.mark.parametrize(
    ("settings", "buckets"),
    [
        ({"buckets": 5}, 5),
        ({"buckets": 0}, 0),
        ({"bucket_columns": 1}, 0),
        ({"bucket_columns": 2}, 64),
    ],
)
def test_buckets_are_a_setting(settings: dict[str, int], buckets: int) -> None:
    found = compiled(standard(**settings))
    assert ("x_bucket" in found) == bool(buckets)
    if buckets:
        assert found["y_bucket"] == Chain(("y",), (FitQuantileBucketize(buckets, 500),))


def test_buckets_take_no_name_that_is_taken() -> None:
    kinds: dict[str, Any] = {"x": "continuous", "x_bucket": "continuous", "x_bucket_": "string"}
    plan = compile_unfitted(build(kinds, standard(), Path("unused")), kinds)
    assert {column.name: column.chain.columns for column in plan.outputs} == {
        "x_bucket_": ("x_bucket_",),
        "x_bucket__": ("x",),
        "x_bucket_bucket": ("x_bucket",),
        "x": ("x",),
        "x_bucket": ("x_bucket",),
    }


def test_the_schema_is_tagged_for_merlin_models() -> None:
    schema = built(standard()).output_schema
    categorical = ["s", "i", "l", "x_bucket", "y_bucket"]
    assert schema.select_by_tag(Tags.CATEGORICAL).column_names == categorical
    assert schema.select_by_tag(Tags.CONTINUOUS).column_names == ["x", "y"]
    assert schema.select_by_tag(Tags.BINARY_CLASSIFICATION).column_names == [CLICK]
    assert schema.select_by_tag(Tags.TARGET).column_names == [CLICK]


@pytest.mark.parametrize("kind", ["string", "integer", "hex", "boolean"])
def test_a_lone_category_has_its_frequency_beside_it(kind: Any) -> None:
    kinds: dict[str, Any] = {"s": kind}
    plan = compile_unfitted(build(kinds, standard(), Path("unused")), kinds)
    assert {column.name: column.chain for column in plan.outputs} == {
        "s": Chain(("s",), (FitCategorify(frequency_threshold=2),)),
        "s_count": Chain(("s",), FREQUENCY),
    }


@pytest.mark.parametrize(
    "kinds", [{"s": "string", "t": "string"}, {"s": "string", "l": "hex_list"}, {"x": "continuous"}]
)
def test_two_features_or_a_number_need_no_frequency(kinds: Any) -> None:
    plan = compile_unfitted(build(kinds, standard(), Path("unused")), kinds)
    assert not any(column.name.endswith("_count") for column in plan.outputs)


def test_a_log_of_few_rows_keeps_all_values() -> None:
    assert standard().for_rows(4_999).frequency_threshold == 0
    assert standard().for_rows(5_000).frequency_threshold == 2
    assert standard(frequency_threshold=3).for_rows(10).frequency_threshold == 3
    assert compiled(standard().for_rows(10))["s"] == Chain(("s",), (FitCategorify(0),))
