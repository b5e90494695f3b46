"""Metrics of rows that several objects have counted are those of one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plumbline.dlrm.metrics.click_metrics import ClickMetrics


@pytest.mark.parametrize("limit", [8, 2**20])
def test_counts_are_merged_exactly(tmp_path: Path, limit: int) -> None:
    generator = np.random.default_rng(4)
    click_B = (generator.random(500) < 0.3).astype(np.float32)
    score_B = generator.integers(1, 40, 500) / 41  # scores that several rows have
    whole = ClickMetrics()
    parts = [ClickMetrics(limit, tmp_path) for _ in range(3)]
    whole.add(click_B, score_B)
    for number, part in enumerate(parts):
        part.add(click_B[number::3], score_B[number::3])
    first, *others = parts
    for other in others:
        first.add_sums(other.sums())
        for counts in other.pairs.blocks():
            first.pairs.add_counts(counts)
    merged, wanted = first.result(), whole.result()
    assert (merged.rows, merged.click_rate, merged.auc) == (500, wanted.click_rate, wanted.auc)
    assert merged.logloss == pytest.approx(wanted.logloss, rel=1e-12)
    assert merged.calibration == pytest.approx(wanted.calibration, rel=1e-12)


def test_an_object_without_rows_adds_nothing() -> None:
    first, other = ClickMetrics(), ClickMetrics()
    first.add(np.array([0, 1]), np.array([0.25, 0.5]))
    first.add_sums(other.sums())
    for counts in other.pairs.blocks():
        first.pairs.add_counts(counts)
    assert first.result().auc == 1.0
    assert first.result().rows == 2
