"""Which columns are suspected to leak the click."""

from __future__ import annotations

import numpy as np
import pytest

from plumbline.columns.values import Lists, offsets_of
from plumbline.dlrm.judgement import leaks
from plumbline.dlrm.judgement.columns import SplitSurvey

ROWS = 6000


def find_leaks(train, valid, **sources):
    """Every column's source is the raw column of its name, except those in `sources`."""
    own = {name: (name,) for name in train.sample}
    return leaks.find_leaks(train, valid, {**own, **sources})


def surveys(columns, seed: int = 0, rows: int = ROWS, rate: float = 0.3):
    """Train and valid; `columns` computes the columns of a split from its clicks."""
    splits = []
    for number, name in enumerate(("train", "valid")):
        generator = np.random.default_rng([seed, number])
        click = (generator.random(rows) < rate).astype(np.int8)
        sample = {**columns(click, generator), "click": click}
        splits.append(SplitSurvey(name, rows, sample=sample))
    return splits


def flipped(click, generator, share: float):
    """The click, redrawn in a share of the rows."""
    return np.where(
        generator.random(len(click)) < share, generator.integers(0, 2, len(click)), click
    )


def weak(click, generator):
    return flipped(click, generator, 0.7).astype(np.int32)


def named(columns, **options) -> list[str]:
    return [suspect.column for suspect in find_leaks(*surveys(columns, **options)).suspects]


def number_leak(click, generator):
    """Numbers whose middle range has the clicks, so that no order of them predicts the click."""
    return np.where(
        click == 1, generator.uniform(-1, 1, len(click)), generator.choice([-3, 3], len(click))
    )


def list_leak(click, generator):
    lengths = generator.integers(0, 4, len(click))
    values = np.repeat(np.where(click == 1, 5, 6), lengths)
    return Lists(values.astype(np.int32), offsets_of(lengths))


@pytest.mark.parametrize(
    "leak",
    [
        lambda click, generator: click.astype(np.int32),
        lambda click, generator: flipped(click, generator, 0.05).astype(np.int32),
        lambda click, generator: click.astype(np.float32),
        lambda click, generator: number_leak(click, generator).astype(np.float32),
        lambda click, generator: (10 * click + generator.normal(size=len(click))).astype(
            np.float32
        ),
    ],
    ids=["id", "noisy id", "number", "middle range", "noisy number"],
)
def test_a_column_that_leaks_the_click(leak) -> None:
    result = find_leaks(
        *surveys(lambda c, g: {"a": weak(c, g), "leak": leak(c, g), "b": weak(c, g)})
    )
    assert [suspect.column for suspect in result.suspects] == ["leak"]
    (suspect,) = result.suspects
    assert suspect.alone > 0.95 and suspect.together > 0.95 > 0.9 > suspect.without
    assert 0.5 < result.auc["a"] < 0.75


def test_a_list_that_leaks_the_click() -> None:
    suspected = named(lambda c, g: {"a": weak(c, g), "tags": list_leak(c, g), "b": weak(c, g)})
    assert suspected == ["tags"]


def test_a_column_far_better_than_all_others_is_suspected_below_the_bound() -> None:
    # It reveals the click only in combination with another column.
    def columns(click, generator):
        half = generator.integers(0, 2, len(click))
        hint = np.where(
            generator.random(len(click)) < 0.25, generator.integers(0, 2, len(click)), click
        )
        return {"half": half, "hint": hint, "a": weak(click, generator)}

    result = find_leaks(*surveys(columns))
    assert [suspect.column for suspect in result.suspects] == ["hint"]
    assert result.suspects[0].alone < 0.95


def test_two_copies_of_a_leak_are_both_named() -> None:
    assert named(lambda c, g: {"a": c.astype(np.int32), "b": c.astype(np.float32)}) == ["a", "b"]


def test_a_leak_with_two_encoded_columns_is_named_once() -> None:
    result = find_leaks(
        *surveys(
            lambda c, g: (
                {
                    "a": weak(c, g),
                    "x": (flipped(c, g, 0.3) + 0.0).astype(np.float32),
                    "b": weak(c, g),
                }
                | {"x_bucket": flipped(c, g, 0.25)}
            )
        ),
        x_bucket=("x",),
    )
    (suspect,) = result.suspects
    assert suspect.column == "x" and suspect.alone == result.auc["x_bucket"]
    assert suspect.without < 0.8 < suspect.together


@pytest.mark.parametrize("seed", range(4))
def test_honest_columns_are_not_named(seed: int) -> None:
    def columns(click, generator):
        shift = 0.8 * click[:, None] + generator.normal(size=(len(click), 6))
        numbers = {f"x{i}": shift[:, i].astype(np.float32) for i in range(6)}
        return {**numbers, "a": weak(click, generator), "row": np.arange(len(click))}

    result = find_leaks(*surveys(columns, seed=seed))
    assert result.suspects == () and result.auc["row"] == pytest.approx(0.5, abs=0.03)


def test_few_clicks_say_nothing() -> None:
    leak = surveys(lambda c, g: {"leak": c.astype(np.int32)}, rows=200, rate=0.1)
    assert find_leaks(*leak).auc == {}
    assert find_leaks(SplitSurvey("train"), SplitSurvey("valid")).suspects == ()


def test_one_column_and_constant_columns() -> None:
    def columns(click, generator):
        return {"x": np.ones(len(click), np.float32), "c": np.full(len(click), 3)}

    result = find_leaks(*surveys(columns))
    assert result.suspects == () and set(result.auc.values()) == {0.5}
