"""Read chunks ahead of the work on them, in order, in a bounded number of threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from os import sched_getaffinity
from typing import TypeVar

THREADS = len(sched_getaffinity(0))
"""Threads that read, count, encode and write: one a core."""

T = TypeVar("T")


def read_ahead(pool: Executor, work: Iterable[Callable[[], T]], ahead: int) -> Iterator[T]:
    """The results of `work` in its order; up to `ahead` of them are being made in the pool.

    Nothing is left running where the caller stops early or a piece of work raises.
    """
    waiting: deque[Future[T]] = deque()
    pieces = iter(work)
    try:
        for piece in pieces:
            waiting.append(pool.submit(piece))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
