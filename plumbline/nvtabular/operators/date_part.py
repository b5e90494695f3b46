"""DatePart: the hour, day of the week, month or another part of a time, as an integer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

from plumbline.base.errors import nearest
from plumbline.features.operators.date_part import PARTS, Part
from plumbline.features.operators.date_part import DatePart as DatePartStep
from plumbline.features.steps.step import Step
from plumbline.features.steps.value_types import Element
from plumbline.nvtabular.expression import Expression, compiled
from plumbline.nvtabular.operator_call import CompiledOperator

_OFFSET = re.compile(r"([+-])(\d\d):([0-5]\d)")


class DatePart(Expression):
    """The parts of each time, in the columns `<column>_<part>`.

    The parts are year, quarter (1 … 4), month (1 … 12), week (1 … 53, ISO 8601), day (1 … 31),
    day_of_year (1 … 366), day_of_week (0 Monday … 6), weekend (0 or 1), hour, minute and second.
    `utc_offset`, such as "+02:00", is the offset of the local time from UTC.
    """

    takes = ("time",)
    gives = "integer"

    def __init__(self, *parts: Part, utc_offset: str = "+00:00") -> None:
        super().__init__()
        if not parts:
            raise ValueError(f"DatePart: wanted a part, one of {', '.join(PARTS)}, got none")
        for part in parts:
            if part not in PARTS:
                raise ValueError(f"DatePart: there is no part {part!r}; {nearest(part, PARTS)}")
        self.parts = parts
        self.utc_offset = utc_offset
        self.minutes = _minutes(utc_offset)

    def column_mapping(self, col_selector: Any) -> dict[str, list[str]]:
        return {f"{name}_{part}": [name] for name in col_selector.names for part in self.parts}

    def step(self, output: str, inputs: Sequence[str], taken: Sequence[Element]) -> Step:
        part = output.removeprefix(f"{inputs[0]}_")
        return DatePartStep(cast(Part, part), self.minutes)


def _minutes(utc_offset: str) -> int:
    found = _OFFSET.fullmatch(utc_offset)
    if found is None:
        raise ValueError(f"DatePart: wanted a utc_offset such as '+02:00', got {utc_offset!r}")
    minutes = int(found[2]) * 60 + int(found[3])
    return -minutes if found[1] == "-" else minutes


OPERATORS = (CompiledOperator(DatePart, compiled),)
