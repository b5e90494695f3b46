"""Reductions over the partitions of a Dask frame, merged in a tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from plumbline.nvtabular.library import delayed

T = TypeVar("T")

WIDTH = 8
"""The number of partial results that a task merges."""


def reduced(frame: Any, learn: Callable[[Any], T], merge: Callable[[list[T]], T]) -> Any:
    """A delayed result: `learn` of every partition, and `merge` of the results."""
    # Without optimization, the operators of a fit share the tasks that read the partitions.
    parts = [delayed(learn)(part) for part in frame.to_delayed(optimize_graph=False)]
    while len(parts) > 1:
        groups = [parts[first : first + WIDTH] for first in range(0, len(parts), WIDTH)]
        parts = [delayed(merge)(group) for group in groups]
    return parts[0]


def nothing_learned(frame: Any) -> Any:
    """A delayed result for an operator that learns nothing: an empty dict."""
    return reduced(frame, _nothing, _nothing)


def _nothing(_: Any) -> dict[str, Any]:
    return {}
