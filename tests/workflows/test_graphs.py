"""The graphs that a configuration can name, before they are fitted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from features.columns import CLICK
from features.settings import CriteoWorkflow, StandardWorkflow
from workflows.chains import chains
from workflows.frames import merlin_input_schema
from workflows.graphs import build
from workflows.library import Tags, Workflow, ops

KINDS: dict[str, Any] = {"s": "string", "x": "continuous", "i": "integer", "y": "continuous"}


def built(settings: CriteoWorkflow | StandardWorkflow) -> Workflow:
    return build(KINDS, settings, Path("unused")).fit_schema(merlin_input_schema(KINDS))


@pytest.mark.parametrize(
    ("settings", "operators"),
    [
        (CriteoWorkflow(graph="criteo"), [ops.FillMissing, ops.Clip, ops.LogOp, ops.Normalize]),
        (StandardWorkflow(graph="standard"), [ops.FillMissing, ops.Normalize]),
        (
            StandardWorkflow(graph="standard", clip_min=0, clip_max=3, log=True, normalize=False),
            [ops.FillMissing, ops.Clip, ops.LogOp],
        ),
    ],
)
def test_the_chain_on_continuous_columns(settings: Any, operators: list[type]) -> None:
    found = {chain.output: chain for chain in chains(built(settings))}
    assert list(found) == ["s", "i", "x", "y", CLICK]
    for name in ("x", "y"):
        assert [type(applied.operator) for applied in found[name].applied] == operators


def test_settings_reach_the_operators() -> None:
    settings = StandardWorkflow(
        graph="standard", fill=2.5, clip_min=-1.0, clip_max=4.0, frequency_threshold=7
    )
    found = {chain.output: chain for chain in chains(built(settings))}
    fill, clip, _ = (applied.operator for applied in found["x"].applied)
    assert (fill.fill_val, clip.min_value, clip.max_value) == (2.5, -1.0, 4.0)
    (categorify,) = (applied.operator for applied in found["s"].applied)
    assert (categorify.freq_threshold, categorify.out_path) == (7, "unused")


def test_the_schema_is_tagged_for_merlin_models() -> None:
    settings = StandardWorkflow(graph="standard", normalize=False)
    schema = built(settings).output_schema
    assert schema.select_by_tag(Tags.CATEGORICAL).column_names == ["s", "i"]
    assert schema.select_by_tag(Tags.CONTINUOUS).column_names == ["x", "y"]
    assert schema.select_by_tag(Tags.BINARY_CLASSIFICATION).column_names == [CLICK]
    assert schema.select_by_tag(Tags.TARGET).column_names == [CLICK]
