"""What a list of ids gives of its rows, element by element. Needs no torch."""

from __future__ import annotations

from typing import Literal, TypeAlias

Pooling: TypeAlias = Literal["mean", "sum", "max", "position_weighted"]

POOLING_NUMBERS: dict[Pooling, int] = {"sum": 0, "mean": 1, "max": 2, "position_weighted": 3}
"""As in plumbline/dlrm/kernels/cpu/embedding_loops.h."""
