"""A row source that reads a small log once, however often an engine asks for its rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.rows import Chunk, Rows, RowsOfSource, RowSource
from plumbline.columns.values import Lists, Text, Values

MOST_BYTES = 256 << 20
"""Memory of the rows that are kept: about a million of Criteo's."""


class RememberedRows(RowsOfSource):
    """A row source that keeps the first chunks that are read, as many as fit into `most_bytes`.

    An engine reads the rows in the same order each time, so the chunks that are kept are of use
    each time, and the others are read again.
    """

    def __init__(self, source: RowSource, most_bytes: int = MOST_BYTES) -> None:
        super().__init__(source)
        self._room = most_bytes
        self._kept: dict[tuple[str, int], Rows] = {}
        """By split and number of the chunk."""
        self._lock = Lock()

    def chunks(self, split: str) -> Iterator[Chunk]:
        """See `plumbline.columns.rows.RowSource.chunks`."""
        for number, chunk in enumerate(self._source.chunks(split)):
            yield partial(self._read, (split, number), chunk)

    def _read(self, place: tuple[str, int], chunk: Chunk) -> Rows:
        if place in self._kept:
            return self._kept[place]
        rows = chunk()
        size = _memory(rows)
        with self._lock:
            if size <= self._room:
                self._room -= size
                self._kept[place] = rows
        return rows


def _memory(rows: Rows) -> int:
    """The bytes of the arrays that hold the rows; columns may be views of one array."""
    held: dict[int, int] = {}
    for values in (rows.click, *rows.columns.values()):
        for array in _arrays(values):
            while isinstance(array.base, np.ndarray):
                array = array.base
            held[id(array)] = array.nbytes
    return sum(held.values())


def _arrays(values: Values) -> Iterator[NDArray[Any]]:
    if isinstance(values, Text):
        yield from (values.offsets, values.data)
    elif isinstance(values, Lists):
        yield values.offsets
        yield from _arrays(values.values)
    else:
        yield values
