"""Optimizers, learning rates, precision."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from plumbline.settings.base import PositiveFloat, PositiveInt, Settings

Auto = Literal["auto"]

ARTICLE_BATCH = 65_536
ARTICLE_LEARNING_RATE = 24.0
ARTICLE_RECIPE: dict[str, Any] = {
    "epochs": 1,
    "batch_size": ARTICLE_BATCH,
    "optimizer": "sgd",
    "embedding_optimizer": "sgd",
    "warmup_share": 0.125,
    "decay_share": 0.25,
    "decay_power": 2.0,
}
"""How NVIDIA's DeepLearningExamples train the article's model: one epoch of 64,014 steps, of which
the first 8,000 warm up and those from 48,000 on decay. Shares fit any number of rows."""


class Training(Settings):
    """Binary cross-entropy on logits; one optimizer for the dense layers, one for the embeddings.

    What is `auto` follows the number of training rows: see `plumbline.dlrm.train.training_plan`.

    Both learning rates rise linearly over `warmup_share` of the steps, stay, and fall as a
    polynomial to zero over the last `decay_share` of them.
    """

    recipe: Literal["adaptive", "article"] = "adaptive"
    """Gives the keys that are not given. adaptive: the defaults here, Adam and row-wise Adagrad.
    article: SGD in batches of 65,536 with warm-up and quadratic decay, and the learning rates 24
    for that batch; they shrink with `batch_size`, which smaller data wants smaller."""
    epochs: PositiveInt | Auto = "auto"
    """Passes over the training rows; the most there are, where training stops early."""
    batch_size: PositiveInt | Auto = "auto"
    """Rows a step."""
    early_stopping: bool = True
    """Keep the weights of the epoch with the best validation log loss, and stop after `patience`
    epochs without a better one. With a single epoch there is nothing to choose."""
    patience: PositiveInt = 3
    """Epochs without a better one, after which training stops."""
    averaging: bool | Auto = "auto"
    """Judge and keep the mean of the weights over the last steps, not the weights of the last one.
    auto: where there is more than one epoch, of up to a million rows. It takes the memory of the
    weights once more."""
    fit_bias: bool | Auto = "auto"
    """In the end, move the output's bias to where the mean score of the training rows is their
    click rate. auto: of up to a million rows, where there is more than one epoch."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Of the layers' products; weights and sums are float32. auto: what the device is fast in."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Of the dense layers."""
    learning_rate: PositiveFloat | Auto = "auto"
    """Of the dense layers."""
    embedding_optimizer: Literal["rowwise_adagrad", "sgd"] = "rowwise_adagrad"
    """Of the embedding tables."""
    embedding_learning_rate: PositiveFloat | Auto = "auto"
    """Of the embedding tables."""
    embedding_deviation: PositiveFloat = 0.01
    """Standard deviation of the embeddings' first numbers, which are drawn around 0."""
    warmup_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Share of the steps over which the learning rates rise from zero."""
    decay_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.3
    """Share of the steps, the last ones, over which the learning rates fall to zero."""
    decay_power: PositiveFloat = 1.0
    """Of the polynomial by which they fall; 1 is a straight line."""
    clip_norm: PositiveFloat | None = None
    """Largest norm of the dense layers' gradients, taken together; greater ones are scaled down.
    Embeddings are left as they are."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0
    """Share of the dense layers' weights that a step takes off, times the learning rate. Biases and
    embeddings are left as they are."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Share of the top MLP's outputs that a training step leaves out. Only `--model fused` has
    it."""
    checkpoint_every: PositiveInt = 2000
    """Steps between two checkpoints; one is also written after each epoch."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_recipe(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("recipe") != "article":
            return data
        filled = {**ARTICLE_RECIPE, **data}
        batch_size = filled["batch_size"]
        if isinstance(batch_size, int):
            scaled = ARTICLE_LEARNING_RATE * batch_size / ARTICLE_BATCH
            filled = {"learning_rate": scaled, "embedding_learning_rate": scaled, **filled}
        return filled

    @model_validator(mode="after")
    def _warm_up_and_decay_do_not_overlap(self) -> Training:
        if self.warmup_share + self.decay_share > 1.0:
            raise ValueError(
                f"warmup_share {self.warmup_share} and decay_share {self.decay_share} overlap: "
                "wanted a sum of at most 1"
            )
        return self
