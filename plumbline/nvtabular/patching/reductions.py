"""Reductions over the partitions of a Dask frame, merged in a tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from plumbline.nvtabular.library import delayed

T = TypeVar("T")

WIDTH = 8
"""The number of partial results that a task merges."""


def reduced(frame: Any, learn: Callable[[int, Any], T], merge: Callable[[list[T]], T]) -> Any:
    """A delayed result: `learn` of every partition's number and frame, and `merge` of these."""
    parts = [delayed(learn)(number, part) for number, part in enumerate(partitions_of(frame))]
    while len(parts) > 1:
        groups = [parts[first : first + WIDTH] for first in range(0, len(parts), WIDTH)]
        parts = [delayed(merge)(group) for group in groups]
    return parts[0]


def partitions_of(frame: Any) -> list[Any]:
    """The delayed partitions of a frame, whose graph Merlin has optimized already."""
    return list(frame.to_delayed(optimize_graph=False))


def nothing_learned(frame: Any) -> Any:
    """A delayed result for an operator that learns nothing: an empty dict."""
    return reduced(frame, lambda number, part: {}, lambda parts: {})
