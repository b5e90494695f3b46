"""`auto` follows the rows, explicit settings are kept, and the recipe's rates follow the batch."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.dlrm.train.training_plan import LARGEST_BATCH, SMALLEST_BATCH, planned
from plumbline.settings import Training


@given(st.integers(1, 10**11))
def test_any_number_of_rows_has_a_plan(rows: int) -> None:
    plan = planned(Training(), rows)
    assert SMALLEST_BATCH <= plan.batch_size <= LARGEST_BATCH
    assert math.log2(plan.batch_size).is_integer()
    assert plan.epochs >= 1
    assert plan.learning_rate > 0 and plan.embedding_learning_rate > 0
    assert planned(plan, 2 * rows) == plan


def test_more_rows_never_have_smaller_batches_or_more_epochs() -> None:
    plans = [planned(Training(), 2**power) for power in range(1, 32)]
    for fewer, more in pairwise(plans):
        assert fewer.batch_size <= more.batch_size
        assert fewer.epochs >= more.epochs
    assert plans[13].batch_size <= 256 and plans[13].epochs > 5
    assert plans[25].batch_size >= 4096 and plans[25].epochs == 1


@pytest.mark.parametrize("rows", [900, 40_000_000])
def test_explicit_settings_are_kept(rows: int) -> None:
    settings = {
        "batch_size": 100,
        "epochs": 7,
        "learning_rate": 0.5,
        "embedding_learning_rate": 0.25,
        "patience": 2,
        "clip_norm": 3.0,
    }
    plan = planned(Training.model_validate(settings), rows)
    assert plan.model_dump(include=set(settings)) == settings
    for key in ("batch_size", "epochs", "learning_rate", "embedding_learning_rate"):
        one = planned(Training.model_validate({key: settings[key]}), rows)
        assert getattr(one, key) == settings[key]


def test_one_epoch_chooses_nothing() -> None:
    assert not planned(Training(epochs=1), 1000).stops_early
    assert planned(Training(epochs=2), 1000).stops_early
    assert not planned(Training(epochs=2, early_stopping=False), 1000).stops_early


def test_weights_are_averaged_over_several_epochs_of_few_rows() -> None:
    assert planned(Training(), 10_000).averaging
    assert not planned(Training(epochs=1), 10_000).averaging
    assert not planned(Training(epochs=2), 40_000_000).averaging
    assert planned(Training(epochs=2, averaging=True), 40_000_000).averaging
    assert not planned(Training(averaging=False), 10_000).averaging


@pytest.mark.parametrize(
    ("rows", "clicks", "epochs"),
    [
        (7000, 30, 3),
        (7000, 3, 2),
        (7000, 6970, 3),
        (900, 450, 20),
        (10**6, 5, 1),
        (100_000, 230, 10),
    ],
)
def test_few_of_the_rarer_outcome_have_few_epochs(rows: int, clicks: int, epochs: int) -> None:
    plan = planned(Training(), rows, clicks)
    assert plan.epochs == epochs
    assert plan.averaging == plan.stops_early == (epochs > 1)
    assert planned(Training(epochs=9), rows, clicks).epochs == 9


def test_the_bias_is_fitted_where_the_weights_are_averaged_by_default() -> None:
    assert planned(Training(), 10_000).fit_bias
    assert planned(Training(averaging=False), 10_000).fit_bias
    assert not planned(Training(epochs=1), 10_000).fit_bias
    assert not planned(Training(), 40_000_000).fit_bias
    assert planned(Training(fit_bias=True), 40_000_000).fit_bias
    assert not planned(Training(fit_bias=False), 10_000).fit_bias


def test_the_articles_recipe_has_one_epoch_and_rates_for_the_batch() -> None:
    plan = planned(Training.model_validate({"recipe": "article"}), 10_000)
    assert (plan.epochs, plan.batch_size, plan.learning_rate) == (1, 65_536, 24.0)
    small = planned(Training.model_validate({"recipe": "article", "batch_size": "auto"}), 10_000)
    assert small.learning_rate == small.embedding_learning_rate == 24 * small.batch_size / 65_536
