"""A known click model: it draws Criteo-like rows with their true click probabilities.

    logit = intercept + scale · (categories + pairs + counts)

`categories` sums a weight for every value, `pairs` sums dot products of low-rank vectors of a few
column pairs, `counts` sums smooth functions of the logarithms of the counts, some monotone, some
not. Each of the three is centred and scaled to its share of the variance; `scale` sets the best
reachable AUC and `intercept` the click rate. Values are missing at random: a missing category adds
0, a missing or negative count adds what a count of 0 adds, so a model that fills in 0 can reach the
AUC.

Shapes: B rows, F categorical columns, C continuous columns, V values of one column.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline.settings import ClickModel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_LOGIT_DEVIATION = 1.3
"""Standard deviation of the logit: at a click rate of .25 the best AUC is about .79."""

_CATEGORY_SHARE, _PAIR_SHARE, _COUNT_SHARE = 0.5, 0.1, 0.4
_CALIBRATION_ROWS = 100_000
_ZIPF_EXPONENT, _ZIPF_SHIFT = 1.1, 2.0
_FADING_RANK = 10.0
"""Weights fall with the rank, so frequent values carry most of the signal."""
_RANK = 4
_PAIRS = 3
_CATEGORY_MISSING = (0.0, 0.0, 0.03, 0.03, 0.0, 0.12, 0.0, 0.0, 0.0, 0.0, 0.0, 0.03, 0.0)
_COUNT_MISSING = (0.45, 0.0, 0.21, 0.22, 0.03, 0.22, 0.04, 0.0, 0.04, 0.45, 0.04, 0.76, 0.22)
_MOSTLY_MISSING_CATEGORY, _MOSTLY_MISSING = 21, 0.76
_SHIFTED_COUNT, _SHIFT = 1, 3
"""The second count has values below 0, as Criteo's I2 does."""


@dataclass(frozen=True, slots=True)
class Rows:
    """categories: F int64 arrays (B,) of value ranks, V where missing; counts: C float64 arrays
    (B,) of whole numbers, NaN where missing; probability: float64 (B,)."""

    categories: list[Integers]
    counts: list[Floats]
    probability: Floats
    click: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class _Category:
    """cumulative: float64 (V,); weight: (V + 1,); vectors: (V + 1, rank); the last is missing."""

    cumulative: Floats
    missing: float
    weight: Floats
    vectors: Floats

    @classmethod
    def drawn(cls, values: int, missing: float, random: np.random.Generator) -> _Category:
        ranks = np.arange(values)
        frequency = (ranks + _ZIPF_SHIFT) ** -_ZIPF_EXPONENT
        fading = 1.0 / (1.0 + ranks / _FADING_RANK)
        weight = np.zeros(values + 1)
        weight[:-1] = random.normal(size=values) * fading
        vectors = np.zeros((values + 1, _RANK))
        vectors[:-1] = random.normal(size=(values, _RANK)) * fading[:, None]
        return cls(np.cumsum(frequency) / frequency.sum(), missing, weight, vectors)

    def draw(self, rows: int, random: np.random.Generator) -> Integers:
        values = len(self.cumulative)
        drawn = np.searchsorted(self.cumulative, random.random(rows), side="right")
        ranks = np.minimum(drawn, values - 1)
        if self.missing > 0.0:
            ranks[random.random(rows) < self.missing] = values
        return ranks


@dataclass(frozen=True, slots=True)
class _Count:
    """A count of about exp(centre + spread · normal), and its effect on the logit."""

    centre: float
    spread: float
    shift: int
    missing: float
    slope: float
    is_monotone: bool

    def draw(self, rows: int, random: np.random.Generator) -> Floats:
        count: Floats = np.floor(np.exp(self.centre + self.spread * random.normal(size=rows)))
        count -= self.shift
        if self.missing > 0.0:
            count[random.random(rows) < self.missing] = np.nan
        return count

    def effect(self, count_B: Floats) -> Floats:
        position_B = (np.log1p(np.fmax(count_B, 0.0)) - self.centre) / self.spread
        curve_B = np.tanh(position_B) if self.is_monotone else np.exp(-0.5 * position_B**2) - 0.7
        effect_B: Floats = self.slope * curve_B
        return effect_B


class Clicks:
    """The click model of one seed."""

    def __init__(self, model: ClickModel, seed: int) -> None:
        random = np.random.default_rng([seed, 0])
        self._categories = [
            _Category.drawn(values, _category_missing(position), random)
            for position, values in enumerate(model.vocabulary)
        ]
        self._counts = [_count(position, random) for position in range(model.continuous)]
        self._pairs = _pairs(model.vocabulary, random)
        self._offset, self._factor = np.zeros(3), np.zeros(3)
        self._intercept = 0.0
        self._calibrate(model.click_rate, random)

    def draw(self, rows: int, random: np.random.Generator) -> Rows:
        categories = [column.draw(rows, random) for column in self._categories]
        counts = [column.draw(rows, random) for column in self._counts]
        effects = self._effects(rows, categories, counts)
        logit_B = self._intercept + (effects - self._offset) @ self._factor
        probability_B = 1.0 / (1.0 + np.exp(-logit_B))
        click_B = (random.random(rows) < probability_B).astype(np.int8)
        return Rows(categories, counts, probability_B, click_B)

    def _effects(self, rows: int, categories: list[Integers], counts: list[Floats]) -> Floats:
        """float64 (B, 3): categories, pairs, counts."""
        effects = np.zeros((rows, 3))
        for category, ranks_B in zip(self._categories, categories, strict=True):
            effects[:, 0] += category.weight[ranks_B]
        for left, right in self._pairs:
            left_BR = self._categories[left].vectors[categories[left]]
            right_BR = self._categories[right].vectors[categories[right]]
            effects[:, 1] += np.einsum("br,br->b", left_BR, right_BR)
        for count, values_B in zip(self._counts, counts, strict=True):
            effects[:, 2] += count.effect(values_B)
        return effects

    def _calibrate(self, click_rate: float, random: np.random.Generator) -> None:
        """Scale the effects to their shares; find the click rate's intercept by bisection."""
        categories = [column.draw(_CALIBRATION_ROWS, random) for column in self._categories]
        counts = [column.draw(_CALIBRATION_ROWS, random) for column in self._counts]
        effects = self._effects(_CALIBRATION_ROWS, categories, counts)
        deviation = effects.std(axis=0)
        shares = np.where(deviation > 0.0, [_CATEGORY_SHARE, _PAIR_SHARE, _COUNT_SHARE], 0.0)
        self._offset = effects.mean(axis=0)
        wanted = _LOGIT_DEVIATION * np.sqrt(shares / (shares.sum() or 1.0))
        self._factor = wanted / np.where(deviation > 0.0, deviation, 1.0)
        signal_B = (effects - self._offset) @ self._factor
        low, high = -20.0, 20.0
        for _ in range(60):
            self._intercept = (low + high) / 2.0
            rate = np.mean(1.0 / (1.0 + np.exp(-self._intercept - signal_B)))
            low, high = (self._intercept, high) if rate < click_rate else (low, self._intercept)


def _category_missing(position: int) -> float:
    if position == _MOSTLY_MISSING_CATEGORY:
        return _MOSTLY_MISSING
    return _CATEGORY_MISSING[position % len(_CATEGORY_MISSING)]


def _count(position: int, random: np.random.Generator) -> _Count:
    return _Count(
        centre=random.uniform(0.5, 4.0),
        spread=random.uniform(0.8, 1.6),
        shift=_SHIFT if position == _SHIFTED_COUNT else 0,
        missing=_COUNT_MISSING[position % len(_COUNT_MISSING)],
        slope=random.choice([-1.0, 1.0]) * random.uniform(0.5, 1.5),
        is_monotone=position % 3 != 2,
    )


def _pairs(vocabulary: tuple[int, ...], random: np.random.Generator) -> list[tuple[int, int]]:
    """Pairs of the columns with the fewest values above two: these can be learned from few rows."""
    columns = sorted(
        (position for position, values in enumerate(vocabulary) if values > 2),
        key=lambda position: vocabulary[position],
    )[: 2 * _PAIRS]
    shuffled = random.permutation(np.array(columns, np.int64)).tolist()
    return list(zip(shuffled[::2], shuffled[1::2], strict=False))
