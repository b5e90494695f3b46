"""Bins of a column's values, and how far the counts of two sets of values are apart.

Legend: N values, K bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

MODERATE, LARGE = 0.1, 0.25
"""Usual bounds of the index: values are alike below the first, and not above the second."""

BUCKETS = 10
"""Bins of a column of numbers, of equal counts in training."""

FREQUENT = 20
"""The most frequent ids in training, which have a bin each."""

PSEUDO_ROWS = 0.5
"""Added to every bin, so that an empty one has a logarithm."""

FEWEST = 500
"""With fewer values, chance alone makes the index about as large as its lower bound."""

_LARGEST = 2**63 - 1


class NumberBins:
    """Bins between the edges, and a last one of missing numbers.

    An edge, float32, is the lowest number of the bin above it.
    """

    def __init__(self, edges: NDArray[np.float32]) -> None:
        self.edges = edges

    @classmethod
    def of(cls, numbers_N: NDArray[np.floating[Any]]) -> NumberBins:
        """Bins of about equal counts of these numbers.

        >>> NumberBins.of(np.arange(20)).edges[:3]
        array([1.9, 3.8, 5.7], dtype=float32)
        """
        present = numbers_N[np.isfinite(numbers_N)]
        if not len(present):
            return cls(np.empty(0, np.float32))
        quantiles = np.quantile(present, np.linspace(0, 1, BUCKETS + 1)[1:-1])
        return cls(np.unique(quantiles.astype(np.float32)))

    @property
    def bins(self) -> int:
        return len(self.edges) + 2

    def count(self, numbers_N: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
        """The number of values in each bin, int64 (K,).

        >>> NumberBins(np.float32([1, 2])).count(np.float32([0, 1, 5, np.nan]))
        array([1, 1, 1, 1])
        """
        bin_N = np.searchsorted(self.edges, numbers_N, side="right")
        counts_K = np.bincount(bin_N, minlength=self.bins).astype(np.int64, copy=False)
        missing = int(np.count_nonzero(np.isnan(numbers_N)))
        counts_K[-2] -= missing  # NaN is sorted behind all numbers
        counts_K[-1] = missing
        return counts_K

    @staticmethod
    def missing(counts_K: NDArray[np.int64]) -> int:
        return int(counts_K[-1])

    @staticmethod
    def unseen(counts_K: NDArray[np.int64]) -> int:
        """A number is never unseen."""
        return 0


class IdBins:
    """A bin for each of the `frequent` ids, then those of other known, unseen and missing values.

    Parameters
    ----------
    frequent
        Ids that are neither `unseen` nor `null`.
    unseen
        The ids of values outside the vocabulary; they may be none.
    null
        The id of missing values, or -1.
    """

    def __init__(self, frequent: Sequence[int], unseen: range, null: int) -> None:
        self.frequent = tuple(frequent)
        other = len(self.frequent)
        spans = [(one, min(one + 1, _LARGEST), bin_) for bin_, one in enumerate(self.frequent)]
        spans += [(unseen.start, min(unseen.stop, _LARGEST), other + 1)] if unseen else []
        spans += [(null, null + 1, other + 2)] if null >= 0 else []
        starts = {end: other for _, end, _ in spans} | {start: bin_ for start, _, bin_ in spans}
        self._starts = np.array(sorted(starts), np.int64)
        """The ids at which another bin begins; the ids of a span lie between two of them."""
        self._bin_of_span = np.array([other, *(starts[one] for one in sorted(starts))])

    @classmethod
    def of(cls, ids_N: NDArray[np.integer[Any]], unseen: range, null: int) -> IdBins:
        """Bins of the most frequent of these ids; of equally frequent ones, of the lowest.

        >>> IdBins.of(np.array([7, 7, 5, 2, 1, 1, 1]), range(2, 3), 1).frequent
        (7, 5)
        """
        values, counts = np.unique(ids_N, return_counts=True)
        known = (values != null) & ((values < unseen.start) | (values >= unseen.stop))
        values, counts = values[known], counts[known]
        return cls(values[np.argsort(-counts, kind="stable")[:FREQUENT]].tolist(), unseen, null)

    @property
    def bins(self) -> int:
        return len(self.frequent) + 3

    def count(self, ids_N: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """The number of values in each bin, int64 (K,).

        >>> IdBins([7, 5], range(2, 4), 1).count(np.array([7, 7, 5, 6, 9, 2, 3, 3, 1]))
        array([2, 1, 2, 3, 1])
        """
        span_N = np.searchsorted(self._starts, ids_N, side="right")
        of_spans = np.bincount(span_N, minlength=len(self._bin_of_span))
        counts_K = np.zeros(self.bins, np.int64)
        np.add.at(counts_K, self._bin_of_span, of_spans)
        return counts_K

    @staticmethod
    def missing(counts_K: NDArray[np.int64]) -> int:
        return int(counts_K[-1])

    @staticmethod
    def unseen(counts_K: NDArray[np.int64]) -> int:
        return int(counts_K[-2])


Bins: TypeAlias = NumberBins | IdBins


def stability_index(reference_K: NDArray[np.int64], counts_K: NDArray[np.int64]) -> float | None:
    """Population stability index: Σ (q - p) ln(q / p) over bins with the shares p and q.

    Siddiqi 2006, "Credit Risk Scorecards", chapter 6. A bin that is empty on both sides is left
    out. None if one side has fewer than `FEWEST` values.

    >>> round(stability_index(np.array([600, 400]), np.array([300, 700])), 2)
    0.38
    """
    if min(reference_K.sum(), counts_K.sum()) < FEWEST:
        return None
    used_K = (reference_K > 0) | (counts_K > 0)
    p, q = (_shares(counts[used_K]) for counts in (reference_K, counts_K))
    return float(((q - p) * np.log(q / p)).sum())


def _shares(counts_K: NDArray[np.int64]) -> NDArray[np.float64]:
    padded_K = counts_K + PSEUDO_ROWS
    return np.asarray(padded_K / padded_K.sum())
