"""Count the values of a column chunk by chunk, to build vocabularies.

Missing values (-2⁶³, the empty string) are not counted. A counter is not thread-safe; different
counters may run concurrently. A native counter takes 16 bytes per slot for integers, about 1 GiB
for 40 million distinct ones, and 32 bytes per slot plus the bytes of each distinct string for text.
At most 5/8 of the slots are used.
"""

from __future__ import annotations

import heapq
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.base.native import native, uses_native
from plumbline.columns.values import NULL_INT64, Text

Counts = NDArray[np.int64]


class IntegerCounter:
    """Counts integers; numbers are counted by their bits, viewed as int64.

    >>> counter = IntegerCounter()
    >>> counter.add(np.array([5, 7, 5, 3]))
    >>> counter.counts()
    (array([5, 3, 7]), array([2, 1, 1]))
    """

    def __init__(self) -> None:
        self._counter: Any = native.IntegerCounter() if uses_native() else _NumpyIntegerCounter()

    def __len__(self) -> int:
        """The number of distinct values."""
        return len(self._counter)

    def add(self, values: NDArray[np.int64]) -> None:
        """Count values, int64 (N,) of any stride."""
        self._counter.add(values)

    def add_counted(self, values: NDArray[np.int64], counts: Counts) -> None:
        """Count distinct values, int64 (N,), as many times as `counts`, int64 (N,), says."""
        self._counter.add_counted(values, counts)

    def merge(self, other: IntegerCounter) -> None:
        """Add the counts of `other`."""
        self.add_counted(*other.counts())

    def __reduce__(self) -> tuple[Any, ...]:
        return _integer_counter_of, self.counts()

    def counts(self, minimum: int = 1, limit: int | None = None) -> tuple[Counts, Counts]:
        """The values counted at least `minimum` times, and their counts, int64 (V,) each.

        Ordered by count descending, on ties by value ascending; only the first `limit`.
        """
        values, counts = self._counter.counts(max(minimum, 0), limit)
        return values, counts


class TextCounter:
    """Counts strings.

    >>> counter = TextCounter()
    >>> counter.add(Text.from_objects([b"b", b"a", b"", b"b"]))
    >>> text, counts = counter.counts()
    >>> text.to_objects(), counts
    (array([b'b', b'a'], dtype=object), array([2, 1]))
    """

    def __init__(self) -> None:
        self._counter: Any = native.TextCounter() if uses_native() else _NumpyTextCounter()

    def __len__(self) -> int:
        """The number of distinct strings."""
        return len(self._counter)

    def add(self, text: Text) -> None:
        """Count the strings."""
        self._counter.add(text.offsets, text.data)

    def add_counted(self, text: Text, counts: Counts) -> None:
        """Count distinct strings as many times as `counts`, int64 (N,), says."""
        self._counter.add_counted(text.offsets, text.data, counts)

    def merge(self, other: TextCounter) -> None:
        """Add the counts of `other`."""
        self.add_counted(*other.counts())

    def __reduce__(self) -> tuple[Any, ...]:
        return _text_counter_of, self.counts()

    def counts(self, minimum: int = 1, limit: int | None = None) -> tuple[Text, Counts]:
        """The strings counted at least `minimum` times, and their counts, int64 (V,).

        Ordered by count descending, on ties by bytes ascending; only the first `limit`.
        """
        offsets, data, counts = self._counter.counts(max(minimum, 0), limit)
        return Text(offsets, data), counts


def _integer_counter_of(values: NDArray[np.int64], counts: Counts) -> IntegerCounter:
    counter = IntegerCounter()
    counter.add_counted(values, counts)
    return counter


def _text_counter_of(text: Text, counts: Counts) -> TextCounter:
    counter = TextCounter()
    counter.add_counted(text, counts)
    return counter


class _NumpyIntegerCounter:
    def __init__(self) -> None:
        self._values = np.empty(0, np.int64)
        self._counts = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self._values)

    def add(self, values: NDArray[np.int64]) -> None:
        if values.dtype != np.int64 or values.ndim != 1:
            raise TypeError(f"values: wanted int64 of 1 dimension, got {values.dtype}.")
        self.add_counted(*np.unique(values, return_counts=True))

    def add_counted(self, values: NDArray[np.int64], counts: Counts) -> None:
        """Add the counts of distinct values."""
        kept = (values != NULL_INT64) & (counts > 0)
        values, counts = values[kept], counts[kept]
        merged, index = np.unique(np.concatenate([self._values, values]), return_inverse=True)
        totals = np.zeros(len(merged), np.int64)
        totals[index[: len(self._values)]] = self._counts
        totals[index[len(self._values) :]] += counts
        self._values, self._counts = merged, totals

    def counts(self, minimum: int, limit: int | None) -> tuple[Counts, Counts]:
        kept = self._counts >= minimum
        values, counts = self._values[kept], self._counts[kept]
        order = np.lexsort((values, -counts))[:limit]
        return values[order], counts[order]


class _NumpyTextCounter:
    def __init__(self) -> None:
        self._counts: Counter[bytes] = Counter()

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, offsets: NDArray[np.int64], data: NDArray[np.uint8]) -> None:
        self._counts.update(value for value in Text(offsets, data).to_objects() if value)

    def add_counted(
        self, offsets: NDArray[np.int64], data: NDArray[np.uint8], counts: Counts
    ) -> None:
        """Add the counts of distinct strings."""
        counted = zip(Text(offsets, data).to_objects(), counts.tolist(), strict=True)
        self._counts.update({string: count for string, count in counted if string and count})

    def counts(
        self, minimum: int, limit: int | None
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8], Counts]:
        kept = ((-count, value) for value, count in self._counts.items() if count >= minimum)
        ranked = sorted(kept) if limit is None else heapq.nsmallest(limit, kept)
        text = Text.from_objects([value for _, value in ranked])
        return text.offsets, text.data, np.array([-count for count, _ in ranked], np.int64)
