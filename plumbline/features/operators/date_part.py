"""Parts of a date and time, such as the hour or the day of the week."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from plumbline.base.json_fields import Between
from plumbline.columns.values import NULL_INT64
from plumbline.features.lookup.tables import Tables
from plumbline.features.steps.native_nodes import NativeNode, NativeNodes
from plumbline.features.steps.step import ValueStep

Part: TypeAlias = Literal[
    "year", "quarter", "month", "week", "day", "day_of_year", "day_of_week", "weekend",
    "hour", "minute", "second",
]  # fmt: skip
PARTS: tuple[Part, ...] = get_args(Part)

_MICROSECONDS_A_MINUTE = 60_000_000
_MINUTES_A_DAY = 24 * 60
_LARGEST_OFFSET = 99 * 60 + 59
"""In minutes: what ±hh:mm can say."""
_FIRST_YEAR = 1970
_THURSDAY = 3
"""1970-01-01 was a Thursday; a week has the year and the number of its Thursday (ISO 8601)."""


@dataclass(frozen=True, slots=True)
class DatePart(ValueStep):
    """An integer, in the Gregorian calendar, `offset` minutes east of UTC; missing stays missing.

    quarter 1 … 4, month 1 … 12, week 1 … 53 (ISO 8601), day 1 … 31, day_of_year 1 … 366,
    day_of_week 0 (Monday) … 6, weekend 0 or 1 (Saturday, Sunday), hour 0 … 23, minute and second
    0 … 59.

    >>> DatePart("hour", 0).apply(np.array([0, 3_600_000_000, NULL_INT64])).tolist()
    [0, 1, -9223372036854775808]
    """

    op = "date_part"
    takes = "times"
    gives = "integer"
    is_exact = True
    part: Part
    offset: Annotated[int, Between(-_LARGEST_OFFSET, _LARGEST_OFFSET)]

    def apply(self, times_B: NDArray[np.int64]) -> NDArray[np.int64]:
        part_B = self._part(times_B)
        missing_B = np.equal(times_B, NULL_INT64)
        if missing_B.any():
            part_B[missing_B] = NULL_INT64
        return part_B

    def native(
        self, nodes: NativeNodes, sources: Sequence[NativeNode], tables: Tables
    ) -> NativeNode:
        return nodes.date_part(self.part, self.offset, *sources)

    def _part(self, times_B: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.part == "second":
            return times_B // 1_000_000 % 60
        minutes_B = times_B // _MICROSECONDS_A_MINUTE + self.offset
        if self.part == "minute":
            return minutes_B % 60
        if self.part == "hour":
            return minutes_B // 60 % 24
        return _of_days(self.part, minutes_B // _MINUTES_A_DAY)


def _of_days(part: Part, days_B: NDArray[np.int64]) -> NDArray[np.int64]:
    """The part of a day that is given by its number since 1970-01-01."""
    if part in ("day_of_week", "weekend"):
        weekdays_B = (days_B + _THURSDAY) % 7
        return weekdays_B if part == "day_of_week" else (weekdays_B > 4).astype(np.int64)
    if part == "day_of_year":
        return days_B - _first_days(days_B, "Y") + 1
    if part == "week":
        thursdays_B = days_B - (days_B + _THURSDAY) % 7 + _THURSDAY
        return (thursdays_B - _first_days(thursdays_B, "Y")) // 7 + 1
    if part == "day":
        return days_B - _first_days(days_B, "M") + 1
    months_B = days_B.view("M8[D]").astype("M8[M]").view(np.int64)
    if part == "year":
        return months_B // 12 + _FIRST_YEAR
    return months_B % 12 + 1 if part == "month" else months_B % 12 // 3 + 1


def _first_days(days_B: NDArray[np.int64], unit: Literal["Y", "M"]) -> NDArray[np.int64]:
    """The first day of each day's year or month."""
    return days_B.view("M8[D]").astype(f"M8[{unit}]").astype("M8[D]").view(np.int64)
