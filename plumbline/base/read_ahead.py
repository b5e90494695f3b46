"""Run work ahead of its consumer: in order, and a bounded number of items ahead."""

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
"""Threads that read, count, encode and write: one per core."""

T = TypeVar("T")


def read_ahead(
    pool: Executor, work: Iterable[Callable[[], T]], ahead: int
) -> Generator[T, None, None]:
    """The results of `work` in order, with up to `ahead` further calls in the pool.

    If the caller stops early or a call raises, the calls that wait are cancelled.
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
    """The items of `items()`, made in another thread, at most `ahead` items early.

    The thread starts at the first `next`. Closing the generator ends it after its current item. An
    error in the thread is raised here, after the items before it.

    >>> list(iterate_ahead(lambda: iter("abc"), 2))
    ['a', 'b', 'c']
    """
    end = object()
    with ThreadPoolExecutor(1, "read ahead") as pool:
        calls = repeat(partial(next, items(), end))
        with closing(read_ahead(pool, calls, ahead)) as results:
            yield from takewhile(lambda item: item is not end, results)
