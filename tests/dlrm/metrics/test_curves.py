"""Curves in few points agree with the exact metrics, and with brute force at every point."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plumbline.base.errors import DataError
from plumbline.dlrm.metrics.curves import GROUPS, POINTS, curves_of
from plumbline.dlrm.metrics.metrics import area_under_curve
from plumbline.dlrm.metrics.pair_counts import PairCounts


def drawn(rows: int, digits: int = 9, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    logit = generator.normal(-1.5, 1.2, rows)
    score = (1 / (1 + np.exp(-logit))).round(digits)
    return (generator.random(rows) < score).astype(np.int8), score


def counted(click: np.ndarray, score: np.ndarray, **options) -> PairCounts:
    pairs = PairCounts(**options)
    for start in range(0, len(click), 700):
        pairs.add(click[start : start + 700], score[start : start + 700])
    return pairs


@pytest.mark.parametrize("digits", [9, 2])
def test_roc_and_precision_are_those_of_thresholds(digits: int) -> None:
    click, score = drawn(5000, digits)
    curves = curves_of(counted(click, score))
    assert curves.roc[0] == (0.0, 0.0) and curves.roc[-1] == (1.0, 1.0)
    exact = {
        (
            ((score >= bound) & (click == 0)).sum() / (click == 0).sum(),
            click[score >= bound].sum() / click.sum(),
        ): click[score >= bound].mean()
        for bound in np.unique(score)
    }
    assert set(curves.roc[1:]) <= set(exact)
    recalls = [recall for recall, _ in curves.precision_recall]
    assert recalls == [true for _, true in curves.roc[1:]]
    for rates, (_, precision) in zip(curves.roc[1:], curves.precision_recall, strict=True):
        assert precision == pytest.approx(exact[rates], abs=1e-12)
    false, true = np.array(curves.roc).T
    assert np.trapz(true, false) == pytest.approx(area_under_curve(click, score), abs=2e-3)
    assert len(curves.roc) <= POINTS + 1


def test_calibration_groups_have_every_row_once() -> None:
    click, score = drawn(10_000)
    groups = curves_of(counted(click, score)).calibration
    assert len(groups) == GROUPS
    assert {group.rows for group in groups} == {10_000 // GROUPS}
    order = np.argsort(score, kind="stable").reshape(GROUPS, -1)
    for group, rows in zip(groups, order, strict=True):
        assert group.clicks == click[rows].sum()
        assert group.observed == pytest.approx(click[rows].mean())
        assert group.predicted == pytest.approx(score[rows].mean())


def test_rows_of_equal_score_are_in_one_group() -> None:
    click = np.array([0, 1] * 50, np.int8)
    (group,) = curves_of(counted(click, np.full(100, 0.3))).calibration
    assert (group.rows, group.clicks, group.predicted) == (100, 50, pytest.approx(0.3))


def test_the_histogram_has_every_row_in_its_bin() -> None:
    click, score = drawn(3000)
    score[:4], click[:4] = [0.0, 1.0, 1e-30, 1 - 1e-12], [0, 1, 1, 0]
    histogram = curves_of(counted(click, score)).histogram
    assert sum(histogram.clicks) == click.sum()
    assert sum(histogram.others) == (click == 0).sum()
    edges = np.array(histogram.edges)
    inner = np.clip(score, edges[0] + 1e-12, edges[-1] - 1e-12)
    assert np.histogram(inner[click == 1], edges)[0].tolist() == list(histogram.clicks)


def test_counts_on_the_disk_give_the_same_curves(tmp_path: Path) -> None:
    click, score = drawn(5000)
    spilled = counted(click, score, limit=500, folder=tmp_path)
    whole, parts = curves_of(counted(click, score)), curves_of(spilled)
    assert parts.roc == whole.roc and parts.histogram == whole.histogram
    assert [group.rows for group in parts.calibration] == [g.rows for g in whole.calibration]


def test_one_outcome_has_no_curves() -> None:
    with pytest.raises(DataError, match="wanted rows with and without a click"):
        curves_of(counted(np.zeros(10), np.linspace(0, 1, 10)))
