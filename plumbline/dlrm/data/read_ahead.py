"""An iterator run ahead in a thread, so many items and no more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class _End:
    """Nothing more comes; `error` is why, where it is not that all is read."""

    error: BaseException | None


def read_ahead(items: Callable[[], Iterator[Item]], ahead: int) -> Generator[Item, None, None]:
    """What `items()` gives, made in a thread that is at most `ahead` items in front.

    The thread starts when the first item is asked for; closing the generator ends it after the item
    that it is at. An error in the thread is raised here, after the items before it.

    >>> list(read_ahead(lambda: iter("abc"), 2))
    ['a', 'b', 'c']
    """
    queue: SimpleQueue[Item | _End] = SimpleQueue()
    room, stop = threading.Semaphore(ahead), threading.Event()

    def run() -> None:
        error = None
        try:
            for item in items():
                room.acquire()
                if stop.is_set():
                    break
                queue.put(item)
        except BaseException as raised:  # noqa: BLE001 (raised again in the reader)
            error = raised
        queue.put(_End(error))

    thread = threading.Thread(target=run, name="read ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(item := queue.get(), _End):
            room.release()
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stop.set()
        room.release()
        thread.join()
