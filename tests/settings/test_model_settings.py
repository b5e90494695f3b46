"""Presets of the model and recipes of the training set the defaults of other keys."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from plumbline.settings import Model, Training


def test_presets_are_the_published_shapes_and_can_be_overridden() -> None:
    article = Model.model_validate({"preset": "article"})
    assert (article.embedding_dim, article.bottom_mlp) == (128, (512, 256, 128))
    assert article.top_mlp == (1024, 1024, 512, 256)
    assert Model.model_validate({"preset": "kaggle"}) == Model()
    assert (Model().embedding_dim, Model().bottom_mlp) == (16, (512, 256, 64, 16))
    narrow = Model.model_validate({"preset": "article", "top_mlp": (8,)})
    assert (narrow.top_mlp, narrow.embedding_dim) == ((8,), 128)
    with pytest.raises(ValidationError, match="'article' or 'kaggle'"):
        Model.model_validate({"preset": "artcle"})


def test_the_articles_learning_rates_are_proportional_to_the_batch() -> None:
    whole = Training.model_validate({"recipe": "article"})
    assert (whole.batch_size, whole.learning_rate) == (65_536, 24.0)
    assert (whole.optimizer, whole.embedding_optimizer) == ("sgd", "sgd")
    assert (whole.warmup_share, whole.decay_share, whole.decay_power) == (0.125, 0.25, 2.0)
    small = Training.model_validate({"recipe": "article", "batch_size": 512})
    assert (small.learning_rate, small.embedding_learning_rate) == (0.1875, 0.1875)
    given = Training.model_validate({"recipe": "article", "learning_rate": 1.0})
    assert (given.learning_rate, given.embedding_learning_rate) == (1.0, 24.0)


def test_warm_up_and_decay_fit_into_the_training() -> None:
    with pytest.raises(ValidationError, match=r"0\.8 and decay_share 0\.3 overlap"):
        Training(warmup_share=0.8)
