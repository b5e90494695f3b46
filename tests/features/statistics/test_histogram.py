"""Histograms of numbers, cut to few bins."""

from __future__ import annotations

import numpy as np
import pytest

from plumbline.features.statistics import histogram
from plumbline.features.statistics.histogram import NumberCounts


@pytest.mark.parametrize("bins", [2, 4])
def test_every_bin_starts_with_a_finite_number(monkeypatch: pytest.MonkeyPatch, bins: int) -> None:
    """With so few bins the lowest one reaches beyond the smallest float32."""
    monkeypatch.setattr(histogram, "MAX_BINS", bins)
    counts = NumberCounts()
    counts.add(0, [np.array([1e30, -5.4e16, 0.0, 5.6e16, -1e30, 1.1], np.float32)])
    found = counts.histogram()
    assert len(found.bins) <= bins
    assert np.isfinite(found.numbers).all()
    assert (np.diff(found.numbers) > 0).all()
