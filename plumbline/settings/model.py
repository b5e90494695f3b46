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
    bag: Literal["mean", "sum", "max"] = "mean"
    """Pooling of a list column: the mean, the sum or the maximum of its ids' embeddings, element by
    element; zeros for an empty list."""
    embedding_rows: Literal["fp32", "bf16"] = "fp32"
    """Precision of the stored embeddings. bf16 needs half the memory, and rounds stochastically
    (see docs/decisions/0012). Only with `--model fused`."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_preset(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {**MODELS.get(data.get("preset", "kaggle"), {}), **data}
        return data

    @model_validator(mode="after")
    def _bottom_ends_in_embedding_dim(self) -> Model:
        if not self.bottom_mlp or self.bottom_mlp[-1] != self.embedding_dim:
            raise ValueError(
                f"bottom_mlp has to end in embedding_dim {self.embedding_dim}, "
                f"got {list(self.bottom_mlp)}"
            )
        return self
