"""Check before training whether a model's size is out of proportion to its data."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from plumbline.dlrm.model.architecture import Architecture

LARGE_LAYER = 5_000_000
"""A first top layer with more weights is too large for any number of rows."""

SMALL_LAYER = 1_000_000
WEIGHTS_FOR_A_ROW = 100
"""A smaller first top layer is too large if it has more weights than this per training row."""

TABLE_ROWS_FOR_A_ROW = 2.0
"""Table rows per training row, above which most ids are seen once or twice."""

NAMED = 3


@dataclass(frozen=True, slots=True)
class Size:
    """Sizes of an architecture's parts."""

    vectors: int
    """Vectors that interact: one per id column, and one for the continuous columns."""
    dots: int
    first_top_weights: int
    layer_weights: int
    """Weights of all layers, which is also their multiply-adds per row."""
    multiply_adds: int
    """Multiply-adds to score one row, dots included."""
    table_rows: int

    @classmethod
    def of(cls, architecture: Architecture) -> Size:
        vectors = len(architecture.categorical) + bool(architecture.continuous)
        dots = vectors * (vectors - 1) // 2
        bottom = (len(architecture.continuous), *architecture.bottom_mlp)
        top = (architecture.top_input, *architecture.top_mlp, 1)
        bottom_weights = sum(wide * high for wide, high in pairwise(bottom))
        top_weights = sum(wide * high for wide, high in pairwise(top))
        layers = top_weights + (bottom_weights if architecture.continuous else 0)
        return cls(
            vectors=vectors,
            dots=dots,
            first_top_weights=top[0] * top[1],
            layer_weights=layers,
            multiply_adds=layers + dots * architecture.embedding_dim,
            table_rows=sum(architecture.cardinalities),
        )


def proportion_warnings(architecture: Architecture, train_rows: int) -> list[str]:
    """One line per reason why the model is too large for its training rows."""
    size = Size.of(architecture)
    warnings = []
    weights = size.first_top_weights
    too_wide = weights > LARGE_LAYER or (
        weights > SMALL_LAYER and weights > WEIGHTS_FOR_A_ROW * train_rows
    )
    if too_wide:
        warnings.append(
            f"The model is out of proportion to its data: {size.vectors:,} vectors make "
            f"{size.dots:,} dots and a first top layer of {weights:,} weights, "
            f"{size.multiply_adds:,} multiply-adds a row, for {train_rows:,} training rows. Leave "
            "out columns, merge id columns into list columns, or make the first of model.top_mlp "
            f"({(*architecture.top_mlp, 1)[0]}) smaller."
        )
    if size.table_rows > TABLE_ROWS_FOR_A_ROW * train_rows:
        sizes = zip(architecture.categorical, architecture.cardinalities, strict=True)
        largest = sorted(sizes, key=lambda item: -item[1])[:NAMED]
        names = ", ".join(f"{name!r} {rows:,}" for name, rows in largest)
        warnings.append(
            f"The embedding tables have {size.table_rows:,} rows of {architecture.embedding_dim} "
            f"numbers for {train_rows:,} training rows, so most ids are seen once or twice: "
            f"{names}. Raise workflow.options.frequency_threshold, or lower model.embedding_dim."
        )
    return warnings
