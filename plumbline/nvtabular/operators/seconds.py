"""The seconds between times.

SecondsBetween: the seconds from the first of two times to the second.
SecondsSince: the seconds from an instant to each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from plumbline.features.operators.seconds import Seconds
from plumbline.features.steps.step import Step
from plumbline.features.steps.value_types import Element
from plumbline.nvtabular.expression import Expression, compiled, pair
from plumbline.nvtabular.instants import microseconds_of
from plumbline.nvtabular.operator_call import CompiledOperator


class SecondsBetween(Expression):
    """The seconds from the first selected time to the second, in the column `name`.

    Without a name it is `<first>_to_<second>`. It is negative if the second time is earlier.
    """

    takes = ("time",)

    def __init__(self, name: str | None = None) -> None:
        super().__init__()
        self.name = name

    def column_mapping(self, col_selector: Any) -> dict[str, list[str]]:
        first, second = pair("SecondsBetween", col_selector)
        return {self.name or f"{first}_to_{second}": [first, second]}

    def step(self, output: str, inputs: Sequence[str], taken: Sequence[Element]) -> Step:
        return Seconds(None)


class SecondsSince(Expression):
    """The seconds from `instant` to each time.

    It is a datetime or ISO 8601 text; without a zone it is in UTC.
    """

    takes = ("time",)

    def __init__(self, instant: str | date | datetime) -> None:
        super().__init__()
        self.microseconds = microseconds_of("SecondsSince", instant)

    def step(self, output: str, inputs: Sequence[str], taken: Sequence[Element]) -> Step:
        return Seconds(self.microseconds)


OPERATORS = tuple(CompiledOperator(one, compiled) for one in (SecondsBetween, SecondsSince))
