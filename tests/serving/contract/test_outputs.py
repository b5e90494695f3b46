"""Numbers without a probability: the error names the column and the row."""

from pathlib import Path

import numpy as np
import pytest

from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.score.scorer import Scorer
from plumbline.features.encoding.encoder import Encoded
from plumbline.serving.contract.outputs import require_finite_dense, scored
from tests.serving.releases import model_of, write_small_plan


@pytest.fixture
def scorer(tmp_path: Path) -> Scorer:
    plan = write_small_plan(tmp_path / "plan", ["Oslo", "Rome"])
    return Scorer.load(model_of(plan, tmp_path / "model", seed=1), plan.content_hash)


def encoded(*numbers: float) -> Encoded:
    ids_BF = np.ones((len(numbers), 1), np.int64)
    return Encoded(ids_BF, (), np.array(numbers, np.float32)[:, None])


@pytest.mark.parametrize("number", [np.inf, -np.inf])
def test_an_infinite_feature_is_refused(scorer: Scorer, number: float) -> None:
    with pytest.raises(
        ModelError, match=rf"'price': .*finite float32 number, got {number} in row 2"
    ):
        scored(scorer, encoded(0.0, 1.0, number, -number))


@pytest.mark.parametrize("number", [np.nan, 3.4e38, -3.4e38])
def test_a_score_that_is_nan_is_refused(scorer: Scorer, number: float) -> None:
    try:
        found = scored(scorer, encoded(0.5, number))["click_probability"]
    except ModelError as error:
        assert "Row 1: its click probability is not a number, where column 'price' is" in str(error)
    else:
        assert np.isfinite(found).all() and not np.isnan(number)


def test_usual_numbers_are_scored(scorer: Scorer) -> None:
    found = scored(scorer, encoded(0.5, -1e6, 1e6))["click_probability"]
    assert found.shape == (3, 1) and np.isfinite(found).all()


def test_the_first_of_several_columns_is_named() -> None:
    dense_BC = np.array([[0.0, np.nan], [1.0, np.inf]], np.float32)
    with pytest.raises(ModelError, match=r"Column 'b': .* got inf in row 1"):
        require_finite_dense(["a", "b"], dense_BC)
    require_finite_dense(["a", "b"], dense_BC[:1])
    require_finite_dense([], np.empty((3, 0), np.float32))
