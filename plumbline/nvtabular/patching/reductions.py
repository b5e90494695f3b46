"""What an operator learns: something of each partition, merged in a tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from dask import delayed

T = TypeVar("T")

WIDTH = 8
"""Partial results that are merged at once."""


def reduced(frame: Any, learn: Callable[[Any], T], merge: Callable[[list[T]], T]) -> Any:
    """A delayed result: `learn` of every partition of a Dask frame, and `merge` of those."""
    # Without optimization the operators of one fit share the tasks that read the partitions.
    parts = [delayed(learn)(part) for part in frame.to_delayed(optimize_graph=False)]
    while len(parts) > 1:
        groups = [parts[first : first + WIDTH] for first in range(0, len(parts), WIDTH)]
        parts = [delayed(merge)(group) for group in groups]
    return parts[0]
