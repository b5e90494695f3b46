"""The AUC of a single column."""

import numpy as np
import polars as pl
import pytest

from plumbline.rawlogs.inspect.column import parquet_column
from plumbline.rawlogs.inspect.kinds import guess_kind
from plumbline.rawlogs.inspect.leaks import aucs_alone

RNG = np.random.default_rng(5)


def auc(name: str, values: pl.Series, click: np.ndarray) -> float:
    column = parquet_column(name, values)
    return aucs_alone({name: column}, {name: guess_kind(column)}, click)[name]


@pytest.mark.parametrize("rate", [0.5, 0.02])
def test_known_answers(rate: float) -> None:
    click = RNG.random(80_000) < rate
    noise = RNG.normal(size=len(click))
    # Normal distributions one deviation apart have an AUC of Phi(1 / sqrt 2) = .7602.
    apart = pl.Series(noise + click)
    assert auc("x", apart, click) == pytest.approx(0.7602, abs=0.02)
    assert auc("x", -apart, click) == pytest.approx(0.7602, abs=0.02)
    assert auc("x", pl.Series(noise), click) < 0.53
    assert auc("x", pl.Series(click.astype(np.float64)), click) == 1.0


def test_a_value_that_only_clicks_have() -> None:
    click = RNG.random(5_000) < 0.1
    values = pl.Series(RNG.normal(size=len(click))).to_frame("x")
    values = values.select(pl.when(pl.Series(click)).then("x")).to_series()
    assert auc("x", values, click) == 1.0


def test_many_distinct_values_alone_predict_nothing() -> None:
    click = RNG.random(20_000) < 0.3
    words = pl.Series([f"w{n}" for n in RNG.integers(0, 15_000, len(click))])
    assert auc("word", words, click) < 0.53


def test_words_that_give_away_the_label() -> None:
    click = RNG.random(5_000) < 0.3
    words = pl.Series(np.where(click, "bought", "looked"))
    assert auc("state", words, click) == pytest.approx(1.0)
