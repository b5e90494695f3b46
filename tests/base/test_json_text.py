"""JSON that anybody may have written ends in a value or in a ValueError."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plumbline.base.json_text import parse_json, read_json


def test_values_are_those_of_the_standard_library(tmp_path: Path) -> None:
    value = {"a": [1, 2.5, -1e300, None, True, "ü"], "b": {"c": 2**70}}
    file = tmp_path / "value.json"
    file.write_text(json.dumps(value))
    assert read_json(file) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("[1e999]", "not finite"),
        ("[-1e999]", "not finite"),
        ("[Infinity]", "not finite"),
        ("[NaN]", "not finite"),
        ("[" + "9" * 10_000 + "]", "digits"),
        ("", "Expecting value"),
        ("{", "Expecting"),
        (b"\xff\xfe\xfa", "utf"),
        (b'"\xff"', "utf-8"),
    ],
)
def test_what_is_wrong_is_a_value_error(text: str | bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_json(text)
