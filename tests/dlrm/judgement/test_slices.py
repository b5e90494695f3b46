"""A slice's figures are those of its rows, for ids, lists and numbers."""

from __future__ import annotations

import numpy as np
import pytest

from plumbline.columns.values import Lists
from plumbline.dlrm.judgement.scored_rows import ScoredRows
from plumbline.dlrm.judgement.slices import FREQUENT, slices_of
from plumbline.dlrm.metrics.metrics import area_under_curve, log_loss
from plumbline.features.operators.bucketize import Bucketize
from plumbline.features.operators.categorify import Categorify
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.plan.plan import OutputColumn
from plumbline.features.steps.chains import Chain

ROWS = 3000
VOCABULARY = Categorify(0, None, 1, 50, "vocabulary/shop.parquet", "", "")


def column(step, dtype: str = "int64") -> OutputColumn:
    return OutputColumn("shop", Chain(("shop",), (step,)), dtype)


def rows() -> ScoredRows:
    generator = np.random.default_rng(5)
    probability = generator.uniform(0.05, 0.6, ROWS).astype(np.float32)
    click = (generator.random(ROWS) < probability).astype(np.float32)
    return ScoredRows(np.empty((ROWS, 0)), np.empty((ROWS, 0)), (), click, probability)


def words(ids: list[int]) -> dict[int, str]:
    return {id_: f"shop {id_}" for id_ in ids}


def check(found, mask: np.ndarray) -> None:
    judged = rows()
    click, probability = judged.click_B[mask], judged.probability_B[mask]
    assert found.rows == mask.sum()
    assert found.click_rate == pytest.approx(click.mean())
    assert found.predicted == pytest.approx(probability.mean())
    assert found.auc == area_under_curve(click, probability)
    assert found.logloss == pytest.approx(log_loss(click, probability))


def test_ids_have_a_slice_each_and_the_rest_share_one() -> None:
    ids = np.random.default_rng(6).choice(
        np.r_[1, 2, 3:18], ROWS, p=np.r_[0.1, 0.1, 0.1, np.full(14, 0.05)]
    )
    found = {one.value: one for one in slices_of(column(VOCABULARY), ids, rows(), words)}
    assert next(iter(found)) == "shop 3" and len(found) == FREQUENT + 3
    check(found["shop 3"], ids == 3)
    check(found["(missing)"], ids == 1)
    check(found["(not in the vocabulary)"], ids == 2)
    named = [int(name.split()[1]) for name in found if name.startswith("shop")]
    check(found[f"({15 - FREQUENT} other values)"], ~np.isin(ids, [1, 2, *named]))
    assert sum(one.rows for one in found.values()) == ROWS


def test_a_row_is_in_the_slice_of_each_value_of_its_list() -> None:
    generator = np.random.default_rng(7)
    lengths = generator.integers(0, 4, ROWS)
    values = generator.integers(2, 6, lengths.sum())
    lists = Lists(values, np.r_[0, np.cumsum(lengths)])
    by_row = [set(values[a:b]) for a, b in zip(lists.offsets[:-1], lists.offsets[1:], strict=True)]
    found = slices_of(column(VOCABULARY, "list<int64>"), lists, rows(), words)
    by_name = {one.value: one for one in found}
    for id_ in (3, 4, 5):
        check(by_name[f"shop {id_}"], np.array([id_ in one for one in by_row]))
    check(by_name["(not in the vocabulary)"], np.array([2 in one for one in by_row]))
    check(by_name["(missing)"], lengths == 0)


def test_ids_that_are_computed_are_all_values() -> None:
    ids = np.random.default_rng(8).integers(1, 4, ROWS)
    found = slices_of(column(Bucketize((0.0, 1.0))), ids, rows(), words)
    assert {one.value for one in found} == {"shop 1", "shop 2", "shop 3"}
    check(next(one for one in found if one.value == "shop 1"), ids == 1)


def test_numbers_are_cut_into_fifths() -> None:
    numbers = np.random.default_rng(9).normal(size=ROWS).astype(np.float32)
    found = slices_of(column(FillMissing(0.0), "float32"), numbers, rows(), words)
    assert [one.rows for one in found] == [ROWS // 5] * 5
    bound = np.quantile(numbers, 0.2)
    assert found[0].value == f"up to {bound:.4g}"
    check(found[0], numbers <= bound)
    check(found[-1], numbers > np.quantile(numbers, 0.8))


def test_numbers_of_one_frequent_value_are_cut_beside_it() -> None:
    numbers = np.zeros(ROWS, np.float32)
    numbers[: ROWS // 10] = np.arange(ROWS // 10) + 1
    found = slices_of(column(FillMissing(0.0), "float32"), numbers, rows(), words)
    assert [one.value for one in found] == ["up to 0", "above 0, up to 300"]
    check(found[1], numbers > 0)


def test_few_numbers_have_a_slice_each() -> None:
    numbers = np.random.default_rng(10).integers(0, 2, ROWS).astype(np.float32)
    found = slices_of(column(FillMissing(0.0), "float32"), numbers, rows(), words)
    assert [one.value for one in found] == ["0", "1"]
    check(found[1], numbers == 1)


def test_a_slice_with_few_clicks_has_no_auc() -> None:
    ids = np.full(ROWS, 3)
    ids[:12] = 4
    found = {one.value: one for one in slices_of(column(VOCABULARY), ids, rows(), words)}
    assert found["shop 4"].auc is None and found["shop 4"].rows == 12
    assert found["shop 3"].auc is not None
