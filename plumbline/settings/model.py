"""The shape of the DLRM."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from plumbline.settings.base import PositiveInt, Settings

MODELS: dict[str, dict[str, Any]] = {
    "article": {
        "embedding_dim": 128,
        "bottom_mlp": (512, 256, 128),
        "top_mlp": (1024, 1024, 512, 256),
    },
    "kaggle": {},  # the defaults
}
"""Shapes of the DLRM in NVIDIA's article on Criteo's terabyte, and of the DLRM authors' model for
Criteo's Kaggle challenge."""

BAG_POSITIONS = 50
"""`bag_positions` of a position-weighted bag that does not set it."""


class Model(Settings):
    """DLRM: `bottom_mlp` ends in `embedding_dim`; a linear layer to one logit follows `top_mlp`."""

    preset: Literal["article", "kaggle"] = "kaggle"
    """Defaults of `embedding_dim`, `bottom_mlp` and `top_mlp`: those of NVIDIA's article on
    Criteo's terabyte, or those of the DLRM's authors for Criteo's Kaggle challenge."""
    embedding_dim: PositiveInt = 16
    """Length of the embedding of a categorical value."""
    bottom_mlp: tuple[PositiveInt, ...] = (512, 256, 64, 16)
    """Widths of the layers over the continuous columns; the last is `embedding_dim`."""
    top_mlp: tuple[PositiveInt, ...] = (512, 256)
    """Widths of the layers over the interaction, before the logit."""
    bag: Literal["mean", "sum", "max", "position_weighted"] = "mean"
    """Pooling of a list column: the mean, the sum, the maximum or the position-weighted sum of its
    ids' embeddings, element by element; zeros for an empty list. position_weighted trains a weight
    for each list column and position; only with `--model fused`."""
    bag_positions: PositiveInt | None = None
    """Number of weights of each list column, only with `bag: position_weighted`, where none means
    50. The first weight is for the first id of a list, in the order that `ListSlice` keeps; later
    ids than the number share the last weight."""
    embedding_rows: Literal["fp32", "bf16"] = "fp32"
    """Precision of the stored embeddings. bf16 needs half the memory, and rounds stochastically
    ([why](decisions/0012-bf16-rows-are-rounded-stochastically.md)). Only with `--model fused`."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_preset(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {**MODELS.get(data.get("preset", "kaggle"), {}), **data}
        return data

    @model_validator(mode="before")
    @classmethod
    def _fill_in_positions(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("bag") == "position_weighted":
            positions = data.get("bag_positions")
            return {**data, "bag_positions": BAG_POSITIONS if positions is None else positions}
        return data

    @model_validator(mode="after")
    def _positions_have_weights(self) -> Model:
        if self.bag_positions is not None and self.bag != "position_weighted":
            raise ValueError(
                f"bag_positions is only for bag: position_weighted, got {self.bag_positions} with "
                f"bag: {self.bag}; leave it out"
            )
        return self

    @model_validator(mode="after")
    def _bottom_ends_in_embedding_dim(self) -> Model:
        if not self.bottom_mlp or self.bottom_mlp[-1] != self.embedding_dim:
            raise ValueError(
                f"bottom_mlp has to end in embedding_dim {self.embedding_dim}, "
                f"got {list(self.bottom_mlp)}"
            )
        return self
