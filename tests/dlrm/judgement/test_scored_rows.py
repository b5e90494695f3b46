"""A sample of scored rows: evenly spread, whole, and with one column shuffled at a time."""

from __future__ import annotations

import numpy as np
import pytest

from plumbline.columns.values import Lists
from plumbline.dlrm.judgement import scored_rows
from plumbline.dlrm.judgement.scored_rows import RowSample, ScoredRows
from plumbline.dlrm.model.architecture import Architecture

ARCHITECTURE = Architecture(
    categorical=("shop", "tags", "user"),
    cardinalities=(9, 9, 9),
    continuous=("age", "price"),
    embedding_dim=4,
    bottom_mlp=(4,),
    top_mlp=(4,),
    bags=("tags",),
)


class Scorer:
    """Scores a row by its first number."""

    def score(self, ids_BF, dense_BC, bags):
        assert len(ids_BF) == len(dense_BC) == len(bags[0])
        return (dense_BC[:, 0] / 1000).astype(np.float32)


def batch(first: int, rows: int) -> tuple:
    number = np.arange(first, first + rows)
    lengths = number % 3
    offsets = np.r_[0, np.cumsum(lengths)]
    return (
        np.stack([number, number + 100], axis=1),
        np.stack([number, -number], axis=1).astype(np.float32),
        [Lists(np.repeat(number, lengths), offsets)],
    )


def sampled(monkeypatch: pytest.MonkeyPatch, most: int, batches: int = 9) -> ScoredRows:
    monkeypatch.setattr(scored_rows, "MOST_ROWS", most)
    sample = RowSample(Scorer(), ARCHITECTURE, rows=10 * batches)
    for number in range(batches):
        probability = sample.score(*batch(10 * number, 10))
        assert probability[0] == np.float32(10 * number / 1000)
        sample.add_clicks(np.full(10, number % 2, np.float32))
    return sample.rows()


@pytest.mark.parametrize(
    ("most", "kept"), [(1000, range(9)), (90, range(9)), (40, (0, 3, 6)), (1, (0,))]
)
def test_batches_are_kept_evenly(monkeypatch: pytest.MonkeyPatch, most: int, kept) -> None:
    rows = sampled(monkeypatch, most)
    wanted = [10 * number + row for number in kept for row in range(10)]
    assert rows.ids_BF[:, 0].tolist() == wanted
    assert rows.probability_B.tolist() == [np.float32(one / 1000) for one in wanted]
    assert rows.click_B.tolist() == [one // 10 % 2 for one in wanted]
    assert np.diff(rows.bags[0].offsets).tolist() == [one % 3 for one in wanted]


def test_columns_are_found_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = sampled(monkeypatch, 1000)
    assert rows.column(ARCHITECTURE, "user")[:2].tolist() == [100, 101]
    assert rows.column(ARCHITECTURE, "price")[:2].tolist() == [0, -1]
    assert rows.column(ARCHITECTURE, "tags") is rows.bags[0]


@pytest.mark.parametrize("name", ["shop", "tags", "user", "age", "price"])
def test_one_column_is_permuted_and_the_others_stay(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    rows = sampled(monkeypatch, 1000)
    order = np.random.default_rng(1).permutation(len(rows))
    other = rows.permuted(ARCHITECTURE, name, order)
    for column in ("shop", "tags", "user", "age", "price"):
        before, after = rows.column(ARCHITECTURE, column), other.column(ARCHITECTURE, column)
        if isinstance(before, Lists):
            wanted = before.take(order) if column == name else before
            assert np.array_equal(after.values, wanted.values)
            assert np.array_equal(after.offsets, wanted.offsets)
        else:
            assert np.array_equal(after, before[order] if column == name else before)


def test_rows_are_taken_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = sampled(monkeypatch, 1000).take(np.array([3, 11]))
    assert len(rows) == 2
    assert rows.ids_BF[:, 0].tolist() == [3, 11] and rows.dense_BC[:, 0].tolist() == [3, 11]
    assert rows.bags[0].values.tolist() == [11, 11] and rows.click_B.tolist() == [0, 1]
