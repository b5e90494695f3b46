"""report.json of a run whose stages an older version ran is refused in words."""

from __future__ import annotations

import pytest

from plumbline.base.errors import StageError
from plumbline.base.manifest import Manifest
from plumbline.stages.report.contents import _chosen, _flat


def test_a_stage_that_kept_less_is_named() -> None:
    manifest = Manifest("train", {}, {}, [], {}, {}, {}, 1.0, {"steps": 3})
    assert _chosen(manifest, ["steps"]) == {"steps": 3}
    with pytest.raises(StageError, match=r"stage train kept no curve, rates.*--from train"):
        _chosen(manifest, ["steps", "curve", "rates"])


def test_settings_are_dotted_keys_and_json() -> None:
    nested = {"seed": 1, "model": {"top_mlp": [8, 4], "bag": "mean"}, "tables": {}}
    assert dict(_flat("", nested)) == {
        "seed": "1",
        "model.top_mlp": "[8, 4]",
        "model.bag": '"mean"',
        "tables": "{}",
    }
