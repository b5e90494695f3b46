"""The points along the log count every row once, however the log is cut into chunks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.rawlogs.splits import course
from plumbline.rawlogs.splits.course import Course, CourseCounts
from plumbline.rawlogs.splits.split import SPLITS


def counted(outcomes: np.ndarray, click: np.ndarray, cuts: list[int]) -> Course:
    counts = CourseCounts()
    for first, last in zip([0, *cuts], [*cuts, len(click)], strict=True):
        counts.add(outcomes[first:last], click[first:last])
    return counts.result()


@given(st.integers(0, 300), st.lists(st.integers(0, 300), max_size=4), st.integers(0, 2**32 - 1))
def test_every_row_is_counted_at_its_point(rows: int, cuts: list[int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    outcomes = generator.integers(0, 6, rows).astype(np.int8)
    click = generator.integers(0, 2, rows).astype(np.int8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(course, "MOST_POINTS", 8)
        found = counted(outcomes, click, sorted(min(cut, rows) for cut in cuts))
    assert len(found.rows) <= 8 and found.span & (found.span - 1) == 0
    for point, of_point in enumerate(found.rows):
        part = slice(point * found.span, (point + 1) * found.span)
        assert of_point == len(click[part])
        assert found.clicks[point] == click[part].sum()
        for position, name in enumerate(SPLITS):
            assert found.splits[name][point] == (outcomes[part] == position).sum()
    assert sum(found.rows) == rows


def test_points_are_merged_only_when_there_are_too_many() -> None:
    rows = course.MOST_POINTS
    outcomes, click = np.zeros(rows + 1, np.int8), np.ones(rows + 1, np.int8)
    assert counted(outcomes[:-1], click[:-1], []).span == 1
    assert counted(outcomes, click, []).rows == [2] * (rows // 2) + [1]
