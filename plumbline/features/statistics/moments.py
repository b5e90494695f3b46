"""The count, mean and squared deviations of a column's numbers, or of groups of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Moments:
    """The moments of G groups of numbers, (G,) each; a column is one group. All 0 without numbers.

    count: int64. mean: float64. squares: float64, the sum of squared deviations from the mean.
    """

    count: NDArray[np.int64]
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]

    @classmethod
    def empty(cls, groups: int = 1) -> Moments:
        return cls(np.zeros(groups, np.int64), np.zeros(groups), np.zeros(groups))

    @classmethod
    def of_column(cls, numbers: NDArray[np.float64]) -> Moments:
        """The moments of numbers (N,) without missing ones."""
        if not len(numbers):
            return cls.empty()
        with np.errstate(invalid="ignore", over="ignore"):
            mean = numbers.mean()
            centred = numbers - mean
            squares = np.dot(centred, centred)
        return cls(np.array([len(numbers)]), np.array([mean]), np.array([squares]))

    @classmethod
    def of_groups(
        cls, numbers: NDArray[np.float64], group: NDArray[np.int64], groups: int
    ) -> Moments:
        """The moments of numbers (N,) without missing ones, by the index of their group (N,)."""
        count = np.bincount(group, minlength=groups)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            mean = np.nan_to_num(sums(group, numbers, groups) / count)
            squares = sums(group, (numbers - mean[group]) ** 2, groups)
        return cls(count, mean, squares)

    @classmethod
    def merged(
        cls, parts: Sequence[Moments], group: Sequence[NDArray[np.int64]], groups: int
    ) -> Moments:
        """The sum of the parts, in order; `group` maps each part's groups to the result's."""
        total = cls.empty(groups)
        for part, at in zip(parts, group, strict=True):
            so_far = cls(total.count[at], total.mean[at], total.squares[at]).plus(part)
            total.count[at], total.mean[at] = so_far.count, so_far.mean
            total.squares[at] = so_far.squares
        return total

    def plus(self, other: Moments) -> Moments:
        """The moments of both, by the update of Chan, Golub and LeVeque (1983)."""
        count = self.count + other.count
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            delta = other.mean - self.mean
            mean = self.mean + delta * other.count / count
            squares = self.squares + (other.squares + delta**2 * self.count * other.count / count)
        has = other.count > 0
        return Moments(count, np.where(has, mean, self.mean), np.where(has, squares, self.squares))

    @property
    def variance(self) -> NDArray[np.float64]:
        """The variance with n - 1 degrees of freedom; NaN for fewer than two numbers."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.count > 1, self.squares / (self.count - 1), np.nan)


def sums(group: NDArray[np.int64], values: NDArray[Any], groups: int) -> NDArray[np.float64]:
    """The sum of the values of each group, float64 (groups,)."""
    return np.bincount(group, values, groups).astype(np.float64, copy=False)
