from __future__ import annotations

from pathlib import Path

import pytest

from plumbline.base.errors import DataError
from plumbline.rawlogs.malformed import MAX_EXAMPLES, Fault, MalformedLines


def test_counts_all_and_shows_the_first_by_line() -> None:
    lines = MalformedLines(limit=100, setting="log.malformed_limit")
    lines.record(Path("a"), [Fault(line, "why") for line in (9, 3, 5)])
    lines.record(Path("b"), [Fault(line, "why") for line in range(1, 9)])
    assert lines.count == 11
    assert lines.examples[:4] == ["a:3: why", "a:5: why", "a:9: why", "b:1: why"]
    assert len(lines.examples) == MAX_EXAMPLES


def test_the_limit_itself_is_allowed() -> None:
    lines = MalformedLines(limit=2, setting="log.malformed_limit")
    lines.record(Path("a"), [Fault(1, "why"), Fault(2, "why")])
    with pytest.raises(
        DataError, match=r"^3 malformed lines, and log.malformed_limit is 2\. .*a:1:"
    ):
        lines.record(Path("a"), [Fault(3, "why")])


def test_a_side_table_may_have_none() -> None:
    lines = MalformedLines(limit=0, setting=None)
    with pytest.raises(DataError, match=r"^t:4: why\. Correct the line"):
        lines.record(Path("t"), [Fault(4, "why")])
