"""Rows that fit into memory are read once; the others again, with the same rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest

from plumbline.columns.remembered import RememberedRows
from plumbline.columns.rows import Chunk, Rows
from plumbline.columns.values import Lists, Text, Values

ROWS, CHUNKS = 100, 5

COLUMNS: dict[str, tuple[Callable[[int], Values], int]] = {
    "integers": (lambda first: np.arange(first, first + ROWS), 8 * ROWS),
    "a column of a table": (
        lambda first: np.arange(first, first + ROWS * 10).reshape(ROWS, 10)[:, 0],
        8 * ROWS * 10,
    ),
    "text": (lambda first: Text.from_objects([b"%03d" % first] * ROWS), 8 * (ROWS + 1) + 3 * ROWS),
    "lists of text": (
        lambda first: Lists(Text.from_objects([b"%03d" % first] * ROWS), np.arange(ROWS + 1)),
        2 * 8 * (ROWS + 1) + 3 * ROWS,
    ),
}
"""Each with the bytes of a chunk's values."""


@dataclass
class CountedReads:
    """A source that counts how often a chunk is read."""

    values: Callable[[int], Values]
    kinds: dict[str, str] = field(default_factory=lambda: {"x": "integer"})
    splits: dict[str, int] = field(
        default_factory=lambda: {"train": ROWS * CHUNKS, "test": ROWS * CHUNKS}
    )
    reads: Counter[tuple[str, int]] = field(default_factory=Counter)

    def chunks(self, split: str) -> Iterator[Chunk]:
        for number in range(CHUNKS):
            yield partial(self._read, split, number)

    def _read(self, split: str, number: int) -> Rows:
        self.reads[split, number] += 1
        first = number * ROWS + (500 if split == "test" else 0)
        return Rows({"x": self.values(first)}, np.zeros(ROWS, np.int8))


def read(source: CountedReads | RememberedRows, split: str) -> list[object]:
    columns = [chunk().columns["x"] for chunk in source.chunks(split)]
    return [_plain(values) for values in columns]


def _plain(values: Values) -> object:
    if isinstance(values, Lists):
        return [_plain(values.values), values.offsets.tolist()]
    return values.to_objects().tolist() if isinstance(values, Text) else values.tolist()


@pytest.mark.parametrize("values, size", COLUMNS.values(), ids=COLUMNS)
@pytest.mark.parametrize("kept", [0, 3, 2 * CHUNKS])
def test_as_many_chunks_as_fit_are_read_once(
    values: Callable[[int], Values], size: int, kept: int
) -> None:
    source = CountedReads(values)
    remembered = RememberedRows(source, most_bytes=kept * (size + ROWS))
    for _ in range(3):
        for split in source.splits:
            assert read(remembered, split) == read(CountedReads(values), split)
    counts = [source.reads[split, n] for split in source.splits for n in range(CHUNKS)]
    assert counts == [1] * kept + [3] * (2 * CHUNKS - kept)
    assert remembered.splits == source.splits and remembered.kinds == source.kinds
