"""The graphs that a configuration can name, before they are fitted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from features import steps
from features.chains import Chain
from features.columns import CLICK
from features.settings import CriteoWorkflow, StandardWorkflow
from features.unfitted import FitCategorify, FitNormalize
from workflows.compile import compile_unfitted
from workflows.frames import merlin_input_schema
from workflows.graphs import build
from workflows.library import Tags, Workflow

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


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            CriteoWorkflow(graph="criteo"),
            (steps.FillMissing(0.0), steps.Clip(0.0, None), steps.Log(), FitNormalize()),
        ),
        (StandardWorkflow(graph="standard"), (steps.FillMissing(0.0), FitNormalize())),
        (
            StandardWorkflow(
                graph="standard", fill=2.5, clip_min=0, clip_max=3, log=True, normalize=False
            ),
            (steps.FillMissing(2.5), steps.Clip(0.0, 3.0), steps.Log()),
        ),
    ],
)
def test_the_chain_on_continuous_columns(settings: Any, expected: tuple[Any, ...]) -> None:
    found = compiled(settings)
    assert list(found) == ["s", "i", "l", "x", "y"]
    for name in ("x", "y"):
        assert found[name] == Chain((name,), expected)


def test_every_categorical_column_is_categorified() -> None:
    found = compiled(StandardWorkflow(graph="standard", frequency_threshold=7))
    for name in ("s", "i", "l"):
        assert found[name] == Chain((name,), (FitCategorify(frequency_threshold=7),))


def test_the_schema_is_tagged_for_merlin_models() -> None:
    settings = StandardWorkflow(graph="standard", normalize=False)
    schema = built(settings).output_schema
    assert schema.select_by_tag(Tags.CATEGORICAL).column_names == ["s", "i", "l"]
    assert schema.select_by_tag(Tags.CONTINUOUS).column_names == ["x", "y"]
    assert schema.select_by_tag(Tags.BINARY_CLASSIFICATION).column_names == [CLICK]
    assert schema.select_by_tag(Tags.TARGET).column_names == [CLICK]
