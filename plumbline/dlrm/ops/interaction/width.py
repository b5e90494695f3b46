"""The width of the interaction's result. Needs no torch."""

from __future__ import annotations

ALIGNMENT = 8
"""The result's width is a multiple of this, which aligns the next matrix product."""


def interaction_width(features: int, dim: int, has_dense: bool) -> int:
    """K, the width of the result, for `features` embeddings of length `dim`.

    >>> interaction_width(26, 16, has_dense=True)
    368
    >>> interaction_width(1, 16, has_dense=False)
    0
    """
    vectors = features + has_dense
    width = has_dense * dim + vectors * (vectors - 1) // 2
    return -(-width // ALIGNMENT) * ALIGNMENT
