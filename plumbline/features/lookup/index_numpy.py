"""`plumbline.features.lookup.index` in NumPy, with the same files and results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plumbline.base.errors import PlanError
from plumbline.base.files import open_to_read
from plumbline.columns.pandas_hash import text_words
from plumbline.columns.values import Text
from plumbline.features.lookup.index_file import DAMAGED, HEADER, TEXT, Shape

SLOTS = 5
"""The number of slots in a bucket."""

BUCKET = np.dtype(
    [("keys", "<u8", SLOTS), ("positions", "<u4", SLOTS), ("unused", "<u4")], align=False
)

_A = np.uint64(0x9E3779B97F4A7C15)
_B = np.uint64(0xD1342543DE82EF95)
_HALF = np.uint64(32)


def integer_hashes(values: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The hashes that select the buckets of integers, uint64 (N,)."""
    hashes = np.ascontiguousarray(values).view(np.uint64)
    hashes = hashes ^ hashes >> _HALF
    hashes *= _A
    hashes ^= hashes >> np.uint64(29)
    hashes *= _B
    return hashes


def text_hashes(text: Text) -> NDArray[np.uint64]:
    """The hashes that select the buckets of strings, uint64 (N,)."""
    lengths = np.diff(text.offsets).astype(np.uint64)
    last = np.maximum((lengths.astype(np.int64) + 7) // 8, 1)
    words = text_words(text)
    hashes = lengths * _A
    for word in range(words.shape[1]):
        taken = (hashes ^ words[:, word]) * _B
        taken ^= taken >> _HALF
        hashes = np.where(word < last, taken, hashes)
    return hashes * _A


def buckets_of(
    hashes: NDArray[np.uint64], keys: NDArray[np.uint64], free_key: int
) -> tuple[int, NDArray[np.void]]:
    """The number of homes, and the filled buckets, as the native code writes them."""
    count = len(hashes)
    homes = max(1, (count * 2 + 6) // 7)
    upper = hashes >> _HALF
    order = np.argsort(upper, kind="stable")
    home = (upper[order] * np.uint64(homes) >> _HALF).astype(np.int64)
    ahead = home * SLOTS - np.arange(count)  # from each value's rank to its home's first slot
    slot = np.arange(count) + np.maximum.accumulate(ahead) if count else home
    last = int(slot[-1]) if count else -1
    buckets = np.zeros(max(homes, (last + 1) // SLOTS + 1), BUCKET)
    buckets["keys"] = np.array(free_key).astype(np.int64).astype(np.uint64)
    buckets["keys"][slot // SLOTS, slot % SLOTS] = keys[order]
    buckets["positions"][slot // SLOTS, slot % SLOTS] = order + 1
    return homes, buckets


class Buckets:
    """A mapped index file."""

    def __init__(self, file: Path, shape: Shape) -> None:
        """Raises PlanError for positions or offsets out of range, which are checked only here."""
        with open_to_read(file) as stream:
            mapped = np.memmap(stream, np.uint8, "r")
        end = HEADER.size + shape.buckets * BUCKET.itemsize
        self._homes = np.uint64(shape.homes)
        self._buckets = mapped[64:end].view(BUCKET)
        pool = end + (shape.count + 1) * 8
        self._text = (
            Text(mapped[end:pool].view("<i8"), mapped[pool:]) if shape.kind == TEXT else None
        )
        if not (self._has_as_many_positions(shape.count) and self._has_ascending_offsets()):
            raise PlanError.unreadable(str(file), DAMAGED)

    def _has_as_many_positions(self, count: int) -> bool:
        positions = self._buckets["positions"]
        used = positions[positions > 0]
        return len(used) == count and int(used.max(initial=0)) <= count

    def _has_ascending_offsets(self) -> bool:
        if self._text is None:
            return True
        offsets = self._text.offsets
        ends = offsets[0] == 0 and offsets[-1] == len(self._text.data)
        return bool(ends and (np.diff(offsets) >= 0).all())

    def integer_positions(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """The position of each value, or -1; int64 (N,)."""
        found_positions = np.full(len(values), -1, np.int64)
        keys = np.ascontiguousarray(values).view(np.uint64)
        for rows, positions in self._matches(integer_hashes(values), keys):
            found_positions[rows] = positions
        return found_positions

    def text_positions(self, text: Text) -> NDArray[np.int64]:
        """The position of each string, or -1; int64 (N,)."""
        found_positions = np.full(len(text), -1, np.int64)
        if self._text is None:
            return found_positions
        hashes = text_hashes(text)
        for rows, positions in self._matches(hashes, hashes):
            same = _are_equal(text.take(rows), self._text.take(positions))
            found_positions[rows[same]] = positions[same]
        return found_positions

    def _matches(
        self, hashes: NDArray[np.uint64], keys: NDArray[np.uint64]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield rows with positions of equal key, until every row's search has ended."""
        rows = np.arange(len(hashes))
        at = ((hashes >> _HALF) * self._homes >> _HALF).astype(np.int64)
        while len(rows):
            buckets = self._buckets[at]
            positions = buckets["positions"].astype(np.int64)
            match, slot = np.nonzero((buckets["keys"] == keys[rows, None]) & (positions > 0))
            yield rows[match], positions[match, slot] - 1
            full = (positions[:, -1] > 0) & (at + 1 < len(self._buckets))
            rows, at = rows[full], at[full] + 1


def _are_equal(one: Text, other: Text) -> NDArray[np.bool_]:
    equal: NDArray[np.bool_] = np.diff(one.offsets) == np.diff(other.offsets)
    alike = np.flatnonzero(equal)
    one, other = one.take(alike), other.take(alike)
    differences = np.concatenate([[0], np.cumsum(one.data != other.data)])
    equal[alike] = differences[one.offsets[1:]] == differences[one.offsets[:-1]]
    return equal
