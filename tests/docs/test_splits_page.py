"""The settings on the page about splits load, and every key is on it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from plumbline.settings import Config, FileSplit, GroupSplit, ShareSplit, TimeSplit
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "splits.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_load(example: str) -> None:
    split: dict[str, Any] = yaml.safe_load(example)
    config = Config.model_validate(
        {
            "name": "t",
            "log": {"columns": {"y": "label", "x": "integer", "user": "unused", "at": "time"}},
            "workflow": {"graph": "standard"},
            **split,
        }
    )
    for key, value in split["split"].items():
        assert f"`{key}" in PAGE
        if key != "gap":
            assert getattr(config.split, key) == value


@pytest.mark.parametrize("split", [FileSplit, GroupSplit, ShareSplit, TimeSplit])
def test_every_key_is_named(split: type[FileSplit | GroupSplit | ShareSplit | TimeSplit]) -> None:
    assert [key for key in split.model_fields if f"`{key}" not in PAGE] == []
