"""Samples of numbers on many scales, and their histograms."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from plumbline.features.statistics.histogram import Histogram, NumberCounts

LARGEST = float(np.finfo(np.float32).max)
NUMBERS = st.lists(
    st.floats(width=32, allow_infinity=False) | st.sampled_from([0.0, -0.0, 1.0, math.nan, 2.0]),
    max_size=60,
)
SCALES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "near zero": lambda random: random.standard_normal(30_000),
    "twelve powers of ten": lambda random: np.exp(6 * random.standard_normal(30_000)),
    "milliseconds since 1970": lambda random: 1.6e12 + 3e10 * random.random(30_000),
    "below zero": lambda random: -np.exp(4 * random.standard_normal(30_000)),
}


def counted(numbers: Any) -> Histogram:
    counts = NumberCounts()
    counts.add(0, [np.asarray(numbers, np.float64)])
    return counts.histogram()
