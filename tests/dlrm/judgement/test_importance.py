"""The columns that a known model rests on are the important ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from plumbline.base.errors import DataError
from plumbline.columns.values import Lists
from plumbline.dlrm.judgement.importance import (
    MOST_COLUMNS,
    _sample,
    columns_to_try,
    permutation_importance,
)
from plumbline.dlrm.judgement.scored_rows import ScoredRows
from plumbline.dlrm.model.architecture import Architecture

ROWS = 4000


class Scorer:
    """Rests on `age` most, on `shop` and `tags` less, and on nothing else."""

    def score(self, ids_BF, dense_BC, bags):
        logit = 2.0 * dense_BC[:, 0] + 0.8 * (ids_BF[:, 0] > 4) + 0.8 * np.diff(bags[0].offsets)
        return (1 / (1 + np.exp(2.5 - logit))).astype(np.float32)


def architecture(*continuous: str) -> Architecture:
    return Architecture(
        categorical=("shop", "tags", "user"),
        cardinalities=(9, 9, 9),
        continuous=continuous,
        embedding_dim=4,
        bottom_mlp=(4,),
        top_mlp=(4,),
        bags=("tags",),
    )


def rows() -> ScoredRows:
    generator = np.random.default_rng(3)
    ids = generator.integers(0, 9, (ROWS, 2))
    dense = generator.normal(size=(ROWS, 2)).astype(np.float32)
    lengths = generator.integers(0, 3, ROWS)
    bags = (Lists(np.ones(lengths.sum(), np.int64), np.r_[0, np.cumsum(lengths)]),)
    probability = Scorer().score(ids, dense, bags)
    click = (generator.random(ROWS) < probability).astype(np.float32)
    return ScoredRows(ids, dense, bags, click, probability)


def importance(seed: int = 1, most_rows: int = ROWS) -> list:
    done: list[int] = []
    found = permutation_importance(
        Scorer(),
        rows(),
        architecture("age", "price"),
        ["user", "shop", "price", "age", "tags"],
        most_rows=most_rows,
        seed=seed,
        progress=done.append,
    )
    assert done == [most_rows] * 5
    return found


def test_what_the_model_rests_on_comes_first() -> None:
    found = importance()
    assert next(one.column for one in found) == "age"
    lost = {one.column: one.auc for one in found}
    assert lost["age"] > 0.1 > min(lost["shop"], lost["tags"]) > 0.01
    assert lost["user"] == lost["price"] == 0.0
    gained = {one.column: one.logloss for one in found}
    assert gained["age"] > gained["shop"] > gained["user"] == 0.0


def test_the_same_seed_gives_the_same() -> None:
    assert importance(most_rows=500) == importance(most_rows=500) != importance(2, 500)


def test_of_many_columns_those_that_order_best_alone_are_tried() -> None:
    names = [f"x{i}" for i in range(200)]
    auc = {name: 0.5 + i / 1000 for i, name in enumerate(names)} | {"user": 0.1, "shop": None}
    tried = columns_to_try(architecture(*names), auc)
    assert len(tried) == MOST_COLUMNS
    assert tried[:3] == ["user", "x199", "x198"] and "x0" not in tried and "shop" not in tried
    assert set(columns_to_try(architecture("x"), {})) == {"shop", "tags", "user", "x"}


def test_one_outcome_alone_has_no_importance() -> None:
    none = replace(rows(), click_B=np.zeros(ROWS, np.float32))
    with pytest.raises(DataError, match="wanted rows with and without a click"):
        permutation_importance(
            Scorer(),
            none,
            architecture("age", "price"),
            ["age"],
            most_rows=ROWS,
            seed=1,
            progress=lambda rows: None,
        )


def test_rare_clicks_are_in_the_sample_and_count_as_what_they_stand_for() -> None:
    """One row in two hundred has a click; a plain sample of 400 rows would have two of them."""
    every = rows()
    order = np.argsort(-every.probability_B, kind="stable")
    click = np.zeros(ROWS, np.float32)
    click[order[: ROWS // 200]] = 1
    rare = replace(every, click_B=click, probability_B=every.probability_B)
    sample, weight = _sample(rare, 400, np.random.default_rng(1))
    assert sample.click_B.sum() == ROWS // 200 and len(sample) == 400
    assert weight.sum() == pytest.approx(ROWS)
    assert np.average(sample.click_B, weights=weight) == pytest.approx(click.mean())


def test_a_sample_of_common_clicks_is_a_plain_one() -> None:
    sample, weight = _sample(rows(), 1000, np.random.default_rng(1))
    assert len(np.unique(sample.probability_B)) > 900
    assert set(weight.round(3)) == {weight[0].round(3), weight[-1].round(3)}
    assert np.average(sample.click_B, weights=weight) == pytest.approx(rows().click_B.mean())
