"""Rows in JSON: what is read, and what is refused with which status."""

from __future__ import annotations

import json

import pytest

from plumbline.serving.gateway.errors import Refused
from plumbline.serving.gateway.json_rows import rows_of_json


def test_rows_are_what_the_json_says() -> None:
    rows = [{"user": 7, "genres": ["Drama", None], "age": None}, {"user": 2**63, "age": 1.5}]
    assert rows_of_json(json.dumps({"rows": rows}).encode(), 2) == rows


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "not JSON"),
        (b"{", 400, "not JSON"),
        (b"\xff\xfe\x00", 400, "not JSON"),
        (b'{"rows": [{"a": "\xff"}]}', 400, "not JSON"),
        (b"[" * 2_000_000, 400, "nested too deeply"),
        (b'{"rows": [{"a": ' + b"9" * 100_000 + b"}]}", 400, "not JSON"),
        (b"[]", 400, "got a JSON list"),
        (b"null", 400, "got a JSON NoneType"),
        (b"{}", 400, "an object without rows"),
        (b'{"rows": {"a": 1}}', 400, "rows of type dict"),
        (b'{"rows": []}', 400, "at least one"),
        (b'{"rows": [{}], "model": "x"}', 400, "the key 'model' too"),
        (b'{"rows": [{}, {}, {}]}', 413, "at most 2"),
    ],
)
def test_anything_else_is_refused(body: bytes, status: int, reason: str) -> None:
    with pytest.raises(Refused, match=reason) as refused:
        rows_of_json(body, 2)
    assert refused.value.status == status
    assert len(str(refused.value)) < 400
