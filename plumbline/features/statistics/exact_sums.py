"""Exact sums of the numbers of many groups.

A sum is a whole number in base 2³², with as many digits as the bits of the numbers span: one for
clicks, three or four for float32 prices, 67 for all of float64. Adding is exact, so a sum depends
on the numbers alone, not on their order or on how they were divided into parts. Only the result is
rounded, once, to the nearest float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from plumbline.base.native import native, uses_native
from plumbline.features.statistics.digits import BITS, Digits, carried, rounded

_MAX_ADDED = 2**29
"""The most additions before digits are carried. Each adds less than 2³² to an int64 limb."""

_BLOCK = 2**15
"""The number of groups that are rounded at a time, which bounds the memory for it."""

Scaled = tuple[NDArray[np.float64], NDArray[np.int64]]
"""Numbers m · 2ᵉ beyond the range of float64, as (m, e)."""


class ExactSums:
    """The sums of G groups of numbers (`power` 1), or of their squares (`power` 2).

    A missing number (NaN) adds nothing. A sum with infinite numbers is infinite, or NaN if they
    have both signs. A sum takes 8 bytes per digit and one byte.

    >>> ExactSums.of(np.array([1e100, 1.0, -1e100])).total()
    array([1.])
    """

    def __init__(self, groups: int = 1, power: Literal[1, 2] = 1) -> None:
        self.power: Literal[1, 2] = power
        self._low = 0
        self._limbs = np.zeros((groups, 0), np.int64)
        self._infinite = np.zeros(groups, np.uint8)
        self._added = 0

    @classmethod
    def of(
        cls,
        numbers: NDArray[np.float64],
        group: NDArray[np.int64] | None = None,
        groups: int = 1,
        power: Literal[1, 2] = 1,
    ) -> ExactSums:
        """The sums of numbers (N,), by the index of their group (N,); None is the only group."""
        (sums,) = cls.of_powers((power,), numbers, group, groups)
        return sums

    @classmethod
    def of_powers(
        cls,
        powers: Sequence[Literal[1, 2]],
        numbers: NDArray[np.float64],
        group: NDArray[np.int64] | None = None,
        groups: int = 1,
    ) -> list[ExactSums]:
        """As `of`, for each of the powers."""
        numbers = np.ascontiguousarray(numbers)
        span = native.bit_span(numbers) if uses_native() else _bit_span(numbers)
        every = [cls(groups, power) for power in powers]
        for sums in every:
            if span is not None:
                lowest, highest = sums.power * span[0], sums.power * (span[1] + 1) - 1
                sums._reserve(lowest // BITS, highest // BITS + 1)
            add = sums._add_native if uses_native() else sums._add
            add(numbers, group)
            sums._count(len(numbers))
        return every

    @classmethod
    def merged(
        cls, parts: Sequence[ExactSums], group: Sequence[NDArray[np.int64]], groups: int
    ) -> ExactSums:
        """The sum of the parts; `group` maps each part's groups to different ones of the result."""
        total = cls(groups, parts[0].power)
        for part, at in zip(parts, group, strict=True):
            total._reserve(part._low, part._low + part._limbs.shape[1])
            first = part._low - total._low
            total._limbs[at, first : first + part._limbs.shape[1]] += part._limbs
            total._infinite[at] |= part._infinite
            total._count(part._added + 1)
        return total

    def __len__(self) -> int:
        return len(self._limbs)

    def plus(self, other: ExactSums) -> ExactSums:
        """The sums of both, group by group."""
        every = np.arange(len(self))
        return ExactSums.merged([self, other], [every, every], len(self))

    def joined(self, width: int) -> ExactSums:
        """The sums of each `width` consecutive groups."""
        limbs, infinite = self._by_width(width)
        return self._like(limbs.sum(1), np.bitwise_or.reduce(infinite, axis=1), width)

    def others(self, width: int) -> ExactSums:
        """For each group, the sum of the other ones among its `width` consecutive groups."""
        limbs, infinite = self._by_width(width)
        marks = np.zeros_like(infinite)
        for group in range(width if infinite.any() else 0):
            others = np.delete(infinite, group, axis=1)
            marks[:, group] = np.bitwise_or.reduce(others, axis=1)
        others_limbs = limbs.sum(1, keepdims=True) - limbs
        return self._like(others_limbs.reshape(self._limbs.shape), marks.ravel(), width)

    def total(self) -> NDArray[np.float64]:
        """The nearest float64 of each sum, (G,)."""
        return ldexp(self.scaled())

    def scaled(self) -> Scaled:
        """The nearest numbers of 53 bits, (G,)."""
        mantissa, exponent = np.zeros(len(self)), np.zeros(len(self), np.int64)
        for block in blocks(len(self)):
            digits, negative = self.digits(block)
            magnitude, exponent[block] = rounded(digits)
            mantissa[block] = np.where(negative, -magnitude, magnitude)
        exponent += BITS * self._low
        return np.where(self._infinite > 0, _INFINITE[self._infinite], mantissa), exponent

    def digits(self, block: slice) -> tuple[Digits, NDArray[np.bool_]]:
        """The digits of the finite numbers of a block of groups, and which sums are negative.

        The lowest digit weighs 2 to the power of `exponent`.
        """
        return carried(np.ascontiguousarray(self._limbs[block].T))

    @property
    def exponent(self) -> int:
        return BITS * self._low

    @property
    def is_finite(self) -> NDArray[np.bool_]:
        """Whether no infinite number was added, (G,)."""
        return np.asarray(self._infinite == 0)

    def state(self) -> tuple[int, NDArray[np.int64], NDArray[np.uint8]]:
        """What `restored` makes equal sums of: exponent of the lowest digit over 32, digits, marks.

        The digits are int64 (G, planes), the marks of infinite numbers uint8 (G,).
        """
        self._carry()
        return self._low, self._limbs, self._infinite

    @classmethod
    def restored(
        cls,
        power: Literal[1, 2],
        low: int,
        digits: NDArray[np.int64],
        infinite: NDArray[np.uint8],
    ) -> ExactSums:
        """The sums whose `state` this is. Digits may be sums of digits, of less than 2²⁹ states."""
        sums = cls(0, power)
        sums._low, sums._limbs, sums._infinite = low, digits, infinite
        sums._carry()
        return sums

    def _by_width(self, width: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        self._carry()
        groups, planes = self._limbs.shape
        shape = groups // width, width
        return self._limbs.reshape(*shape, planes), self._infinite.reshape(shape)

    def _like(self, limbs: NDArray[np.int64], infinite: NDArray[np.uint8], added: int) -> ExactSums:
        sums = ExactSums(0, self.power)
        sums._low, sums._limbs, sums._infinite = self._low, limbs, infinite
        sums._count(added)
        return sums

    def _reserve(self, low: int, high: int) -> None:
        """Make room for the digits from `low` on, below `high`."""
        groups, planes = self._limbs.shape
        if low >= high:
            return
        if not planes:
            self._low = low
        first, end = min(low, self._low), max(high, self._low + planes)
        if end - first > planes:
            limbs = np.zeros((groups, end - first), np.int64)
            limbs[:, self._low - first : self._low - first + planes] = self._limbs
            self._low, self._limbs = first, limbs

    def _count(self, added: int) -> None:
        """Note additions of less than 2³² to a limb, and carry before one could overflow."""
        self._added += added
        if self._added > _MAX_ADDED:
            self._carry()

    def _carry(self) -> None:
        """Bring every limb but the highest into [0, 2³²), and the highest into ±2³²."""
        if np.any(np.abs(self._limbs[:, -1:]) > _LOW):
            self._reserve(self._low, self._low + self._limbs.shape[1] + 1)
        for plane in range(self._limbs.shape[1] - 1):
            self._limbs[:, plane + 1] += self._limbs[:, plane] >> BITS
            self._limbs[:, plane] &= 2**BITS - 1
        self._added = 1

    def _add_native(self, numbers: NDArray[np.float64], group: NDArray[np.int64] | None) -> None:
        squared = self.power == 2
        native.add_exactly(numbers, group, squared, self._limbs, self._infinite, self._low)

    def _add(self, numbers: NDArray[np.float64], group: NDArray[np.int64] | None) -> None:
        """`native.add_exactly` in NumPy."""
        group = np.zeros(len(numbers), np.int64) if group is None else group
        infinite = np.isinf(numbers)
        negative = (numbers < 0) & (self.power == 1)
        marks = np.where(negative, np.uint8(2), np.uint8(1))
        np.bitwise_or.at(self._infinite, group[infinite], marks[infinite])
        kept = np.isfinite(numbers)
        mantissa, exponent = _split(np.abs(numbers[kept]))
        sign = np.where(negative[kept], -1, 1)
        low, high = mantissa & _LOW, mantissa >> _DIGIT
        parts = [low, high] if self.power == 1 else _squared(low, high)
        exponent *= self.power
        first = (exponent >> BITS.bit_length() - 1) - self._low
        shift = (exponent & BITS - 1).astype(np.uint64)
        before = np.zeros(len(mantissa), np.uint64)
        for place, part in enumerate([*parts, before]):
            digit = part << shift & _LOW | before >> (_DIGIT - shift)
            rows = np.flatnonzero(digit)
            at = group[kept][rows], first[rows] + place
            np.add.at(self._limbs, at, sign[rows] * digit[rows].astype(np.int64))
            before = part


_INFINITE = np.array([0.0, np.inf, -np.inf, np.nan])
"""The sum of infinite numbers, by their marks."""

_DIGIT, _LOW = np.uint64(BITS), np.uint64(2**BITS - 1)


def ldexp(numbers: Scaled) -> NDArray[np.float64]:
    """Scaled numbers as float64; too large ones are infinite."""
    mantissa, exponent = numbers
    with np.errstate(over="ignore"):
        return np.ldexp(mantissa, exponent)


def blocks(groups: int) -> list[slice]:
    """Slices of a few groups each."""
    return [slice(first, first + _BLOCK) for first in range(0, groups, _BLOCK)]


def _split(
    magnitudes: NDArray[np.float64],
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Finite numbers as m · 2ᵉ with whole m below 2⁵³: (m, e)."""
    fraction, exponent = np.frexp(magnitudes)
    return np.ldexp(fraction, 53).astype(np.uint64), exponent.astype(np.int64) - 53


def _squared(low: NDArray[np.uint64], high: NDArray[np.uint64]) -> list[NDArray[np.uint64]]:
    """The digits of the squares of numbers with two digits, the high one below 2²¹."""
    square, twice = low * low, 2 * low * high
    second = (square >> _DIGIT) + (twice & _LOW)
    third = (second >> _DIGIT) + (twice >> _DIGIT) + high * high
    return [square & _LOW, second & _LOW, third & _LOW, third >> _DIGIT]


def _bit_span(numbers: NDArray[np.float64]) -> tuple[int, int] | None:
    """`native.bit_span` in NumPy."""
    mantissa, exponent = _split(np.abs(numbers[np.isfinite(numbers) & (numbers != 0)]))
    if not len(mantissa):
        return None
    lowest_bit = mantissa & ~(mantissa - np.uint64(1))
    zeros = np.frexp(lowest_bit.astype(np.float64))[1] - 1
    return int((exponent + zeros).min()), int(exponent.max()) + 52
