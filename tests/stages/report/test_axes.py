"""Ticks are round, few, and inside of the axis, whatever the range."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from plumbline.stages.report.axes import MOST_TICKS, Axis

FINITE = st.floats(-1e9, 1e9, allow_nan=False)


@given(st.lists(FINITE, min_size=1, max_size=5), st.booleans())
def test_linear_ticks(values: list[float], zero: bool) -> None:
    axis = Axis.over("x", values, zero=zero)
    assert axis.low < axis.high
    room = (axis.high - axis.low) * 1e-6 + 1e-9
    ticks = axis.ticks()
    assert len(ticks) <= MOST_TICKS + 1
    assert all(axis.low - room <= tick <= axis.high + room for tick in ticks)
    assert all(-1e-9 <= axis.place(value) <= 1 + 1e-9 for value in values)


@given(st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=5))
def test_logarithmic_ticks(values: list[float]) -> None:
    axis = Axis.over("x", values, is_log=True)
    ticks = axis.ticks()
    assert len(ticks) <= MOST_TICKS + 1
    assert all(axis.low * 0.999 <= tick <= axis.high * 1.001 for tick in ticks)
    assert all(-1e-9 <= axis.place(value) <= 1 + 1e-9 for value in values)
    assert all(math.isfinite(axis.place(tick)) for tick in ticks)
