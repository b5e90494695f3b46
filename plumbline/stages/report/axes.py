"""Axes of a plot: their range, their ticks, and where a value is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from plumbline.stages.report.texts import short

MOST_TICKS = 6


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear or logarithmic axis from `low` to `high`."""

    label: str
    low: float
    high: float
    text: Callable[[float], str] = short
    is_log: bool = False
    marks: tuple[float, ...] | None = None
    """The ticks, if they are not round numbers."""

    @classmethod
    def over(
        cls,
        label: str,
        values: Iterable[float],
        text: Callable[[float], str] = short,
        *,
        zero: bool = False,
        is_log: bool = False,
    ) -> Axis:
        """An axis with all of the values, and zero if asked for.

        >>> Axis.over("x", [3.0, 3.0]).low < 3 < Axis.over("x", [3.0, 3.0]).high
        True
        """
        found = [*values, *([0.0] if zero else [])]
        low, high = min(found), max(found)
        if high - low <= 1e-9 * max(abs(low), abs(high), 1e-300):
            spread = abs(low) / 2 or 1.0
            low, high = (
                (low / 2, high * 2) if is_log else (low - spread * (not zero), high + spread)
            )
        return cls(label, low, high, text, is_log)

    def place(self, value: float) -> float:
        """0 at `low`, 1 at `high`."""
        if self.is_log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """At most about six values, round ones unless `marks` are given.

        >>> Axis("x", 0, 1).ticks()
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
        >>> Axis("x", 0.3, 40, is_log=True).ticks()
        [0.5, 1.0, 2.0, 5.0, 10.0, 20.0]
        """
        if self.marks is not None:
            return [mark for mark in self.marks if self.low <= mark <= self.high]
        return self._log_ticks() if self.is_log else self._linear_ticks()

    def _linear_ticks(self) -> list[float]:
        rough = (self.high - self.low) / (MOST_TICKS - 1)
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * k for k in (1, 2, 2.5, 5, 10) if power * k >= rough * (1 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(k * step, 12) for k in range(first, last + 1)]

    def _log_ticks(self) -> list[float]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        for factors in ((1, 2, 5), (1,)):
            found = [k * 10.0**power for power in range(first, last + 1) for k in factors]
            inside = [round(one, 12) for one in found if self.low <= one <= self.high]
            if 2 <= len(inside) <= MOST_TICKS:
                return inside
        if len(inside) < 2:  # less than a doubling
            return self._linear_ticks()
        return inside[:: math.ceil(len(inside) / MOST_TICKS)]
