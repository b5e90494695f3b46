"""An iterator in a thread: bounded, in order, stopped by its consumer, errors passed on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from plumbline.base.read_ahead import iterate_ahead


def counting(made: list[int], until: int) -> Iterator[int]:
    for number in range(until):
        made.append(number)
        yield number


def settled(made: list[int]) -> int:
    """The number of items once it stops growing."""
    count = -1
    while count != len(made):
        count = len(made)
        time.sleep(0.02)
    return count


def test_it_runs_a_bounded_number_of_items_ahead():
    made: list[int] = []
    with closing(iterate_ahead(lambda: counting(made, 100), 3)) as items:
        assert next(items) == 0
        assert settled(made) == 4  # one is taken, three wait
        assert [next(items), next(items)] == [1, 2]
        assert settled(made) == 6
    assert settled(made) == 6


def test_all_items_are_in_order():
    assert list(iterate_ahead(lambda: iter(range(1000)), 1)) == list(range(1000))
    assert list(iterate_ahead(lambda: iter(()), 1)) == []


def test_an_error_is_raised_after_the_items_before_it():
    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("lost")

    items = iterate_ahead(failing, 2)
    assert next(items) == 1
    with pytest.raises(ValueError, match="lost"):
        next(items)
    assert list(items) == []


@pytest.mark.parametrize("taken", [0, 1, 5])
def test_closing_ends_the_thread_and_its_iterator(taken):
    before, closed = threading.active_count(), threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.set()

    items = iterate_ahead(endless, 2)
    for _ in range(taken):
        next(items)
    items.close()
    assert threading.active_count() == before
    assert closed.is_set() == (taken > 0)  # the thread starts at the first next()


def test_dropping_the_iterator_ends_the_thread():
    before = threading.active_count()
    next(iterate_ahead(lambda: iter(range(100)), 2))
    assert threading.active_count() == before
