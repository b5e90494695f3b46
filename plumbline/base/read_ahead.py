"""Read ahead of the work on what is read, in order, and so many items and no more."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import repeat, takewhile
from os import sched_getaffinity
from typing import TypeVar

THREADS = len(sched_getaffinity(0))
"""Threads that read, count, encode and write: one a core."""

T = TypeVar("T")


def read_ahead(
    pool: Executor, work: Iterable[Callable[[], T]], ahead: int
) -> Generator[T, None, None]:
    """The results of `work` in its order; up to `ahead` of them are being made in the pool.

    Nothing is left waiting where the caller stops early or a call raises.
    """
    waiting: deque[Future[T]] = deque()
    try:
        for call in work:
            waiting.append(pool.submit(call))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def iterate_ahead(items: Callable[[], Iterator[T]], ahead: int) -> Generator[T, None, None]:
    """The items of `items()`, made in a thread of their own that is at most `ahead` in front.

    The thread starts with the first item that is asked for. Closing the generator ends it after the
    item that it is at. An error in the thread is raised here, after the items before it.

    >>> list(iterate_ahead(lambda: iter("abc"), 2))
    ['a', 'b', 'c']
    """
    end = object()
    with ThreadPoolExecutor(1, "read ahead") as pool:
        calls = repeat(partial(next, items(), end))
        with closing(read_ahead(pool, calls, ahead)) as made:
            yield from takewhile(lambda item: item is not end, made)
