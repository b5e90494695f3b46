"""The count, sum, mean and variance of a column's numbers, or of groups of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline.features.statistics.digits import BITS, carried, of_counts, product, rounded
from plumbline.features.statistics.exact_sums import ExactSums, blocks, ldexp


@dataclass(frozen=True, slots=True)
class Moments:
    """The moments of G groups of numbers; a column is one group.

    count: int64 (G,). The sums of the numbers and of their squares are exact.
    """

    count: NDArray[np.int64]
    sums: ExactSums
    squares: ExactSums

    @classmethod
    def empty(cls) -> Moments:
        return cls(np.zeros(1, np.int64), ExactSums(), ExactSums(power=2))

    @classmethod
    def of(
        cls, numbers: NDArray[np.float64], group: NDArray[np.int64] | None = None, groups: int = 1
    ) -> Moments:
        """The moments of numbers (N,), by the index of their group (N,); missing ones are NaN."""
        known = numbers == numbers
        if group is None:
            count = np.array([np.count_nonzero(known)])
        else:
            count = np.bincount(group[known], minlength=groups)
        return cls(count, *ExactSums.of_powers((1, 2), numbers, group, groups))

    @classmethod
    def merged(
        cls, parts: Sequence[Moments], group: Sequence[NDArray[np.int64]], groups: int
    ) -> Moments:
        """The sum of the parts; `group` maps each part's groups to different ones of the result."""
        count = np.zeros(groups, np.int64)
        for part, at in zip(parts, group, strict=True):
            count[at] += part.count
        sums = ExactSums.merged([part.sums for part in parts], group, groups)
        squares = ExactSums.merged([part.squares for part in parts], group, groups)
        return cls(count, sums, squares)

    def plus(self, other: Moments) -> Moments:
        """The moments of both, group by group."""
        every = np.arange(len(self.count))
        return Moments.merged([self, other], [every, every], len(self.count))

    @property
    def mean(self) -> NDArray[np.float64]:
        """The mean of each group, (G,); NaN without numbers."""
        mantissa, exponent = self.sums.scaled()
        with np.errstate(invalid="ignore"):
            return ldexp((mantissa / self.count, exponent))

    @property
    def variance(self) -> NDArray[np.float64]:
        """The variance with n - 1 degrees of freedom, (G,); NaN for fewer than two numbers.

        n Σx² - (Σx)² is exact before it is rounded, so equal numbers have a variance of 0.
        """
        scaled, exponent = np.zeros(len(self.count)), np.zeros(len(self.count), np.int64)
        for block in blocks(len(self.count)):
            sums, _ = self.sums.digits(block)
            squares, _ = self.squares.digits(block)
            terms = product(squares, of_counts(self.count[block])), product(sums, sums)
            weights = self.squares.exponent, 2 * self.sums.exponent
            difference, lowest = _difference(terms, weights)
            scaled[block], exponent[block] = rounded(carried(difference)[0])
            exponent[block] += lowest
        count = self.count.astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            variance = ldexp((scaled / (count * (count - 1)), exponent))
        return np.where((self.count > 1) & self.sums.is_finite, variance, np.nan)


def _difference(
    terms: tuple[NDArray[np.int64], NDArray[np.int64]], exponents: tuple[int, int]
) -> tuple[NDArray[np.int64], int]:
    """The limbs of the first less the second, and the exponent of the lowest."""
    lowest = min(exponents)
    places = [(exponent - lowest) // BITS for exponent in exponents]
    planes = max(place + len(term) for place, term in zip(places, terms, strict=True))
    limbs = np.zeros((planes, terms[0].shape[1]), np.int64)
    for sign, place, term in zip((1, -1), places, terms, strict=True):
        limbs[place : place + len(term)] += sign * term
    return limbs, lowest
