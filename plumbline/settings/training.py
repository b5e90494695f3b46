"""Settings of the training: optimizers, learning rates, precision."""

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
"""The recipe of NVIDIA's DeepLearningExamples for the article's model: one epoch of 64,014 steps
with warm-up to step 8,000 and decay from step 48,000. Here both are shares of the steps."""


class Training(Settings):
    """Binary cross-entropy on logits; one optimizer for the dense layers, one for the embeddings.

    Keys that are `auto` follow the number of training rows: see [training.md](training.md).

    Both learning rates rise linearly over the first `warmup_share` of the steps, stay constant,
    and fall as a polynomial to zero over the last `decay_share`.
    """

    recipe: Literal["adaptive", "article"] = "adaptive"
    """Defaults of the other keys. adaptive: those of this table, Adam and row-wise Adagrad.
    article: SGD in batches of 65,536 with warm-up and quadratic decay. Its learning rates are 24
    for that batch, and proportional to `batch_size`; smaller data needs smaller batches."""
    epochs: PositiveInt | Auto = "auto"
    """Passes over the training rows; with early stopping, the largest number of them."""
    batch_size: PositiveInt | Auto = "auto"
    """Rows of one step."""
    early_stopping: bool = True
    """Keep the weights of the epoch with the best validation log loss, and stop after `patience`
    epochs without improvement. No effect with a single epoch."""
    patience: PositiveInt = 3
    """Number of epochs without improvement after which training stops."""
    averaging: bool | Auto = "auto"
    """Evaluate and keep the mean of the weights over the last steps, instead of the last weights.
    It needs the memory of the weights once more. auto: with more than one epoch, of up to a million
    rows."""
    fit_bias: bool | Auto = "auto"
    """After training, set the output's bias so that the mean score of the training rows equals
    their click rate. auto: with more than one epoch, of up to a million rows."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Precision of the layers' products; weights and sums are float32. auto: the one that is
    fast on the device, see `plumbline kernels`."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Optimizer of the dense layers."""
    learning_rate: PositiveFloat | Auto = "auto"
    """Learning rate of the dense layers."""
    embedding_optimizer: Literal["rowwise_adagrad", "sgd"] = "rowwise_adagrad"
    """Optimizer of the embedding tables."""
    embedding_learning_rate: PositiveFloat | Auto = "auto"
    """Learning rate of the embedding tables."""
    embedding_deviation: PositiveFloat = 0.01
    """Standard deviation of the initial embeddings, with mean 0."""
    warmup_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Share of the steps over which the learning rates rise from zero."""
    decay_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.3
    """Share of the steps, at the end, over which the learning rates fall to zero."""
    decay_power: PositiveFloat = 1.0
    """Exponent of the decay; 1 is linear."""
    clip_norm: PositiveFloat | None = None
    """Largest norm of all gradients of the dense layers together; larger ones are scaled down. Does
    not apply to embeddings."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0
    """Decoupled weight decay of the dense layers' weights. A step subtracts this share of them,
    times the learning rate. Does not apply to biases and embeddings."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Share of the top MLP's outputs that a training step sets to zero. Only with `--model
    fused`."""
    checkpoint_every: PositiveInt = 2000
    """Number of steps between two checkpoints; each epoch also ends with one."""

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
